"""A library that takes memory and time to load, loaded when it is first used."""

import importlib
from typing import Any


class Lazy:
    """Stands for a module: what is asked of it is looked up there once."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self._module), name)
        setattr(self, name, value)
        return value
