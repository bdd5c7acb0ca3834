"""What git is told first: the refs of a repository, and what is spoken here. It stays the same until a ref changes."""

from collections.abc import Mapping
from dataclasses import dataclass

from flynn.core import model
from flynn.plugins.builder.git.program import Git
from flynn.plugins.builder.git.repositories import Local


@dataclass(frozen=True)
class Said:
    """`text` is what a service said of the repository `known` in `environ`."""

    known: model.Repository
    environ: Mapping[str, str]
    text: bytes


async def advertised(git: Git, local: Local, service: str, environ: Mapping[str, str]) -> bytes:
    """What the service (`git-receive-pack`) says of the repository, which was just brought to what is known. GitFailed,
    Unavailable."""
    known, said = local.known, local.advertised.get(service)
    if said is None or (said.known, said.environ) != (known, environ):
        words = (service.removeprefix("git-"), "--stateless-rpc", "--advertise-refs", ".")
        said = Said(known, environ, await git.output(local.place, *words, environ=environ))
        if local.known == known:  # Else somebody has brought newer refs meanwhile: who knows which of them git saw.
            local.advertised[service] = said
    return said.text


async def advertise(git: Git, local: Local) -> None:
    """Have it ready for those who will ask next as others did before. GitFailed, Unavailable."""
    known = local.known
    for service, said in list(local.advertised.items()):
        if local.known == known:  # Else somebody brings newer refs, which need not be on the disk yet.
            await advertised(git, local, service, said.environ)
