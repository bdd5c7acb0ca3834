"""What the store has, as records by table. Pure."""

import logging
from functools import lru_cache
from typing import Any, cast

import msgspec

from flynn.core import keys, model
from flynn.core.store import Batch, Item

log = logging.getLogger(__name__)


def by_table(batch: Batch) -> dict[str, dict[str, Item | None]]:
    """By table and the rest of the key: what was written, None for what is gone."""
    found: dict[str, dict[str, Item | None]] = {}
    for item in batch.puts:
        table, rest = split(item.key)
        found.setdefault(table, {})[rest] = item
    for key in batch.deletes:
        table, rest = split(key)
        found.setdefault(table, {})[rest] = None
    return found


@lru_cache
def _decoder(table: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(keys.TABLES[table])


def decode(table: str, item: Item) -> model.Record | None:
    """The record of an item; None: its table is not known here, or it cannot be read, which is logged."""
    if table not in keys.TABLES:
        return None
    try:
        return cast(model.Record, _decoder(table).decode(item.value))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("the record at %s cannot be read and is passed over: %s", item.key, error)
        return None


def split(key: str) -> tuple[str, str]:
    """The table of a key, and the rest."""
    table, _, rest = key.partition("/")
    return table, rest
