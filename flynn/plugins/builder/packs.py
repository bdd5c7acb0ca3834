"""What a build's job is told of the buildpacks that its app is set to. Pure."""

from collections.abc import Mapping

import msgspec

from flynn.core import model

SHELF = "shelf:"
"""How a buildpack is named that was put on the shelf, by its digest."""

OWN = ("BUILD_", "FLYNN_", "PACK_")
"""How variables begin by which flynn tells a build what to do."""


def told(app: model.App, given: Mapping[str, str]) -> dict[str, str]:
    """Variables. `given`: those that the operator gives to all builds, as mirrors of what buildpacks download."""
    packs = msgspec.json.encode(app.buildpacks).decode()
    return {name: value for name, value in given.items() if not name.startswith(OWN)} | (
        {"BUILD_PACKS": packs} if app.buildpacks else {}
    )


def layers(app: model.App) -> dict[str, str]:
    """Layers: the blob of each buildpack of the shelf. The build finds one by PACK_<its first digits>_DIR."""
    blobs = [pack.removeprefix(SHELF) for pack in app.buildpacks if pack.startswith(SHELF)]
    return {f"pack-{sha256[:12]}": sha256 for sha256 in blobs}
