"""A release whose artifact is an image, which hosts pull from where it is kept. Pure."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.cron.described import entries
from flynn.plugins.controller.decide import find_app
from flynn.plugins.controller.deploy.settings import AS_SET, described_deploy
from flynn.plugins.controller.deploy.strategies import OWN
from flynn.plugins.controller.described import CRON, described
from flynn.plugins.controller.releases import Draft, begin_deploy, process_types

_LABEL = r"[a-zA-Z0-9]+(-+[a-zA-Z0-9]+)*"
_HOST = rf"{_LABEL}(\.{_LABEL})*(:[0-9]+)?/"
_PART = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
IMAGE = re.compile(rf"({_HOST})?{_PART}(/{_PART})*(:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?")
"""The name of an image, as the grammar of the distribution project has it ("reference")."""

IMAGE_LIMIT = 255
COMMAND_LIMIT = 10_000


def deploy_image(
    facts: Facts,
    name: str,
    image: str,
    commands: Mapping[str, str],
    description: str,
    now: float,
    said: Mapping[str, Any] | None = None,
    how: model.Deploying = AS_SET,
    strategies: Collection[str] = tuple(OWN),
) -> Change:
    """The release and its deploy. Without `commands` it has one type `web`, which runs what the image says.

    `said`: what is said of its types beside that, as in flynn.json.
    """
    app = find_app(facts, name)
    if len(image) > IMAGE_LIMIT or not IMAGE.fullmatch(image):
        raise Invalid(f"{image[:80]!r} names no image; write [REGISTRY/]NAME[:TAG], or NAME@sha256:DIGEST")
    for type, command in commands.items():
        keys.check_name("process type", type)
        if "\0" in command or len(command) > COMMAND_LIMIT:
            raise Invalid(f"the command of {type} is no good: no NUL byte, {COMMAND_LIMIT} characters at most")
    artifact = model.Artifact(kind="image", image=image)
    words = description or f"Deploy {image}"
    processes = described(process_types(commands or {"web": ""}), said or {})
    told = described_deploy(said or {}, strategies)
    cron = entries((said or {}).get(CRON, {}), processes)
    draft = Draft(artifact, processes, app.env, words[:200], cron=cron)
    change, _ = begin_deploy(facts, name, draft, now, how, told)
    return change
