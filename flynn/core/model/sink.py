"""Where logs go as well."""

from flynn.core.model.record import Record


class Sink(Record, frozen=True, kw_only=True):
    """Where each host sends the lines of an app's log ("": of all apps) as well, from when it was made."""

    id: str
    url: str
    created: float
    app: str = ""
    options: dict[str, str] = {}
