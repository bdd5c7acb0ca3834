"""The files of a bare repository that flynn writes itself: its settings, its hooks, and where its refs are."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

HOOK = """\
#!/bin/sh
# Asks the daemon, over two pipes, whether this push may be. What it says meanwhile goes to who pushes.
{
    printf '%s\\n' "${0##*/}" "$GIT_QUARANTINE_PATH" "$GIT_SHALLOW_FILE"
    case $0 in
        *update) printf '%s %s %s\\n' "$2" "$3" "$1" ;;
        *) while IFS= read -r line; do printf '%s\\n' "$line"; done ;;
    esac
    echo
} > "/dev/fd/$FLYNN_TELL" || exit 1
while IFS= read -r line; do
    case $line in
        exit\\ *) exit "${line#exit }" ;;
        *) printf '%s\\n' "${line#say }" ;;
    esac
done < "/dev/fd/$FLYNN_HEAR"
exit 1
"""

CONFIG = """\
[core]
    repositoryformatversion = 0
    filemode = true
    bare = true
    hooksPath = {hooks}
    bigFileThreshold = 16m
    logAllRefUpdates = false
    # While a push is looked at, all refs are asked for already: nothing is to be added, by the quickest program.
    alternateRefsCommand = true
[transfer]
    fsckObjects = true
[receive]
    fsckObjects = true
    unpackLimit = 1
    shallowUpdate = true
    # One ref of several is deployed: all or none cannot be kept.
    advertiseAtomic = false
    maxInputSize = {limit}
    autogc = false
    updateServerInfo = false
    # The hook says which: those of previews alone.
    denyDeletes = false
    denyDeleteCurrent = refuse
[receive "fsck"]
    # What old programs wrote, and can do no harm.
    badTimezone = ignore
    missingSpaceBeforeDate = ignore
    zeroPaddedFilemode = ignore
    zeroPaddedDate = ignore
    badName = ignore
    badEmail = ignore
    missingEmail = ignore
    missingNameBeforeEmail = ignore
    missingSpaceBeforeEmail = ignore
    multipleAuthors = ignore
[uploadpack]
    allowFilter = true
[gc]
    auto = 0
[pack]
    threads = 1
    windowMemory = 32m
    deltaCacheSize = 16m
[tar]
    umask = 0022
[protocol]
    allow = never
"""

HOOKS = ("pre-receive", "update")

LEFT = ("incoming-*", "tmp_objdir-*", "pack/tmp_*", "pack/*.part")
"""What a push that was killed leaves in `objects`."""


def write_hooks(folder: Path) -> None:
    """The hooks, in a directory of their own, for all repositories. Those that are right stay, as on a full disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in HOOKS:
        _settle(folder / name, HOOK)
        (folder / name).chmod(0o755)


def hooks_run(folder: Path) -> bool:
    """Whether git would run them: it leaves out those that it may not, and takes the push."""
    return all(os.access(folder / name, os.X_OK) for name in HOOKS)


def prepare(place: Path, hooks: Path, limit: int) -> None:
    """A bare repository at `place`, made if there is none, with our settings. `limit`: bytes of one push."""
    for folder in ("objects/pack", "objects/info", "refs/heads", "info"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    _settle(place / "config", CONFIG.format(hooks=hooks, limit=limit))
    if not (place / "HEAD").exists():
        _settle(place / "HEAD", "ref: refs/heads/main\n")


def sweep(place: Path) -> None:
    """Remove what a push that was killed has left. None is under way."""
    for pattern in LEFT:
        for path in (place / "objects").glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def packs(place: Path) -> dict[str, int]:
    """The packs that are there, by name, and the bytes of each with its index: fewer than it had where the machine went
    down before all was on the disk."""
    found = {path.stem.removeprefix("pack-"): path for path in (place / "objects/pack").glob("pack-*.idx")}
    return {name: _bytes(path) + _bytes(path.with_suffix(".pack")) for name, path in found.items()}


def pack_path(place: Path, name: str, ending: str) -> Path:
    return place / "objects/pack" / f"pack-{name}.{ending}"


def drop_pack(place: Path, name: str) -> None:
    """Remove a pack; the index first, without which git does not see it."""
    for ending in ("idx", "rev", "bitmap", "keep", "pack"):
        pack_path(place, name, ending).unlink(missing_ok=True)


def write_refs(place: Path, head: str, refs: Mapping[str, str], shallow: tuple[str, ...]) -> None:
    """Have these refs and no others. Nothing is written where all is so already."""
    if head:
        _settle(place / "HEAD", f"ref: {head}\n")
    _settle(place / "packed-refs", "".join(f"{refs[name]} {name}\n" for name in sorted(refs)))
    _settle(place / "shallow", "".join(f"{commit}\n" for commit in shallow))
    for folder, _, files in os.walk(place / "refs"):
        for file in files:
            loose = Path(folder) / file
            name = loose.relative_to(place).as_posix()
            if refs.get(name) != loose.read_text().strip():
                loose.unlink()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _settle(path: Path, text: str) -> None:
    """Have a file, or with no text have none. It is never seen half: git may read it at any time."""
    try:
        if path.read_text() == text:
            return
    except FileNotFoundError:
        if not text:
            return
    if text:
        aside = path.with_name(f"{path.name}.part")
        aside.write_text(text)
        os.replace(aside, path)
    else:
        path.unlink()
