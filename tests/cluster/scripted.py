"""A grid whose builds do what their apps say: by a plugin's buildpack that runs the file `build.sh` of the source."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.apps import make
from tests.cluster.grid import Grid, open_grid

PLUGIN = """
from pathlib import Path
from flynn.core.hooks import hookimpl

@hookimpl
def flynn_buildpacks():
    return [Path(__file__).parent / "packs" / "scripted"]
"""

PACK = {
    "detect": '#!/bin/sh\n[ -f "$1/build.sh" ] && echo Scripted\n',
    "compile": '#!/bin/sh\ncd "$1" && exec sh build.sh "$2"\n',
}


@dataclass(eq=False)
class Scripted(Grid):
    """Its plugin is beside its data."""

    @property
    def environ(self) -> dict[str, str]:
        return super().environ | {"PYTHONPATH": str(self._plugin())}

    def _plugin(self) -> Path:
        site = self.data.with_name("site")
        if not site.exists():
            make(site, scripted__py=PLUGIN)
            told = {"METADATA": "Metadata-Version: 2.1\nName: scripted\nVersion: 1.0\n"}
            make(site / "scripted-1.0.dist-info", **told, entry_points__txt="[flynn.plugins]\nscripted = scripted\n")
            bin = make(site / "packs" / "scripted" / "bin", **PACK)
            for path in bin.iterdir():
                os.chmod(path, 0o755)
        return site


@asynccontextmanager
async def open_scripted(*settings: str) -> AsyncIterator[Grid]:
    async with open_grid(*settings, kind=Scripted) as grid:
        yield grid


def app(folder: Path, script: str, procfile: str = "worker: sleep 1000\n") -> Path:
    """An app that is built by this script; its first argument is the cache."""
    return make(folder, build__sh=script, Procfile=procfile)
