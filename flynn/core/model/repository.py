"""The git repository of an app, as it is between two pushes."""

from flynn.core.model.record import Record


class Pack(Record, frozen=True, kw_only=True):
    """A pack of objects: `pack` and `index` are blobs on the shelf, `name` is what git calls it (`pack-NAME.pack`), and
    `size` the bytes of both."""

    name: str
    pack: str
    index: str
    size: int


class Repository(Record, frozen=True, kw_only=True):
    """What was pushed of an app. `branch` is the one that deploys ("": none is chosen yet), `refs` are commits by name
    (`refs/heads/main`), `shallow` those whose parents nobody sent, and `pushed` is the time of the last push.
    `previews`: the branches among `refs` that are of preview apps, and when that app was made."""

    app: str
    branch: str = ""
    refs: dict[str, str] = {}
    packs: tuple[Pack, ...] = ()
    shallow: tuple[str, ...] = ()
    pushed: float = 0.0
    previews: dict[str, float] = {}
