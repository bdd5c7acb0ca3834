"""A network of its own: what a job reaches from there, who reaches it, and what is left of it. As whoever runs the
tests; where that is root, all of it once more as an ordinary user, and with a world outside of this machine.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import Limits, NotStarted
from flynn.plugins.host.sandbox import network
from flynn.plugins.host.sandbox.sandbox import SandboxBackend
from tests.contract import network as contract
from tests.contract.backend import start
from tests.contract.network import addresses, begun, carriers, ended, listener, said, told
from tests.plugins.host.again import HOME, again_as_ordinary_user
from tests.plugins.host.rig import ask, open_rig
from tests.plugins.host.sandbox.world import RESOLVER
from tests.ports import free_port

LIMIT = 20.0


@pytest.fixture
async def apart(sandbox: SandboxBackend) -> SandboxBackend:
    """A sandbox that can give networks."""
    if sandbox.no_own:
        sentence = f"no network of its own here: {sandbox.no_own}"
        if os.environ.get("REQUIRE_ENGINES") == "1":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return sandbox


@pytest.mark.parametrize("part", contract.PARTS, ids=lambda part: part.__name__)
async def test_contract(apart: SandboxBackend, tmp_path: Path, part: contract.Part) -> None:
    await part(apart, tmp_path)


async def test_it_sees_no_cards_of_the_kernel(apart: SandboxBackend, tmp_path: Path) -> None:
    assert await said(apart, told(tmp_path, "ls /sys/class/net 2>/dev/null; echo seen")) == ["seen"]


async def test_what_carries_it_is_started_again(apart: SandboxBackend, tmp_path: Path) -> None:
    port = free_port()
    wanted = replace(told(tmp_path, "exec python3 server.py", port=port), env={"PORT": str(port), "FLYNN_JOB_ID": "x"})
    running = await begun(apart, wanted, b"serving")
    carriers(wanted)[0].kill()
    async with asyncio.timeout(LIMIT):
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                heard = await reader.read()
                writer.close()
                if heard == b"x\n":
                    break
            await asyncio.sleep(0.05)
    await running.kill()
    await running.wait()
    await ended(running, wanted)


async def test_nothing_is_left_when_what_stands_around_it_is_killed(apart: SandboxBackend, tmp_path: Path) -> None:
    wanted = told(tmp_path, "echo here; exec sleep 60")
    running = await begun(apart, wanted, b"here")
    assert carriers(wanted)
    inner = await running.pid()
    os.kill(running.identity.pid, signal.SIGKILL)
    assert await running.wait() == 137
    await ended(running, wanted)
    assert not Path(f"/proc/{inner}").exists()


async def test_what_is_adopted_has_it_still(apart: SandboxBackend, tmp_path: Path) -> None:
    wanted = told(tmp_path, "echo here; exec sleep 60")
    running = await begun(apart, wanted, b"here")
    found = SandboxBackend(tmp_path / "other").adopt(wanted.dir, running.identity)
    assert await found.pid() == await running.pid()
    code = await found.exec(
        "grep -q eth0 /proc/net/dev && test $(readlink /proc/self/ns/net) = $(readlink /proc/1/ns/net)"
    )
    assert code == 0
    await found.kill()
    await found.wait()
    await ended(found, wanted)


async def test_without_a_network_there_is_only_itself(sandbox: SandboxBackend, tmp_path: Path) -> None:
    with listener() as port:
        places = [f"{address}:{port}" for address in addresses()]
        look = f"python3 look.py {' '.join(places)}; cut -s -d: -f1 /proc/net/dev"
        lines = await said(sandbox, replace(told(tmp_path, look), network="none"))
    assert [line.split()[-1] for line in lines] == ["no"] * len(places) + ["lo"]


async def test_where_it_cannot_be_had_it_is_refused(sandbox: SandboxBackend, tmp_path: Path) -> None:
    sandbox.networks = ("host", "none")
    with pytest.raises(NotStarted, match="no network 'own', only: host, none"):
        await start(sandbox, told(tmp_path, "echo ran"))


async def test_a_carrier_that_cannot_begin_says_why(apart: SandboxBackend, tmp_path: Path) -> None:
    with listener() as port:
        wanted = told(tmp_path, "echo ran", port=port)
        running = await start(apart, wanted)
        with pytest.raises(NotStarted, match=r"pasta says: .*port"):
            await running.wait()
        await ended(running, wanted)
    assert wanted.stdout.read_text() == ""


@pytest.fixture
async def rig_data(apart: SandboxBackend, tmp_path: Path) -> Path:
    return tmp_path / "node"


async def test_a_service_is_up_once_it_listens_itself(rig_data: Path) -> None:
    """Not when what stands before it takes connections."""
    async with open_rig(rig_data, backend="sandbox", boot_timeout=2.0) as rig, rig.running():
        host = rig.node.mirror.facts.hosts["host-a"]
        assert (host.networks, host.image_networks, host.no_own) == (("host", "own", "none"), ("host",), "")
        slow = "while ! test -e /app/go; do sleep 0.05; done; exec python3 -SE server.py"
        await rig.assign(rig.web("web-1", network="own"), rig.web("web-2", slow, network="own"))
        await rig.state("web-1", "up")
        instance = rig.instance("web-1")
        assert instance
        assert await ask(instance) == "web-1"
        down = await rig.state("web-2", lambda state: state.failure == "boot")
        assert "did not listen on port" in down.reason
        assert rig.instance("web-2") is None
        await rig.assign(rig.web("web-1", network="own"), rig.web("web-2", slow, network="own"), stop=True)
        for id in ("web-1", "web-2"):
            await rig.state(id, "down")


async def test_a_trial_that_cannot_be_made_is_no_reason_not_to_start(tmp_path: Path) -> None:
    if not network.pasta() or not os.access(network.TUN, os.W_OK):
        pytest.skip("it says something else where there is no pasta")
    (tmp_path / "file").write_text("")
    assert (await network.lacking(tmp_path / "file" / "own")).startswith("a trial of it failed: ")


def test_limits_are_for_the_job() -> None:
    assert network.around(Limits(memory=96, pids=10)) == Limits(memory=96 + network.MEMORY, pids=10 + network.PROCESSES)
    assert network.around(Limits()) == Limits()


def test_bridges_within_the_machine_are_not_those_it_reaches_the_world_by(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    cards = ("lo", "eth0", "br0", "docker0", "br-1f2e")
    assert network.inner(cards, tmp_path) == []
    for name in cards[2:]:
        (tmp_path / "sys/class/net" / name / "bridge").mkdir(parents=True)
    head, rest = "Iface\tDestination\tGateway\tFlags\n", "docker0\t000011AC\t00000000\t0001\n"
    (tmp_path / "proc/net/route").write_text(f"{head}br0\t00000000\t010200C0\t0003\n{rest}")
    assert network.inner(cards, tmp_path) == ["docker0", "br-1f2e"]


def test_the_containers_of_a_bridge_are_refused() -> None:
    if os.geteuid():
        pytest.skip("only root makes bridges")
    name = "fl-inner0"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", "198.18.77.1/24", "dev", name], check=True)
        assert {"198.18.77.0/24", "198.18.77.1/32"} <= set(network.refused(()))
    finally:
        subprocess.run(["ip", "link", "del", name], check=True)
    assert not [found for found in network.refused(()) if found.startswith("198.18.77.")]


def test_what_is_refused_is_networks() -> None:
    found = network.refused(["10.1.2.3", "10.0.0.0/8", "fd00::7", "127.0.0.1", "localhost", "no.such.name.invalid", ""])
    assert found[: len(network.REFUSED)] == list(network.REFUSED)
    assert {"10.1.2.3/32", "10.0.0.0/8", "fd00::7/128"} <= set(found)
    assert not any(one.startswith("127.") for one in found)
    network.checked(["10.0.0.0/8", "10.1.2.3", "fd00::/8"])
    with pytest.raises(StartError, match=r"host\.refused: '10\.0\.0/8' is no network"):
        network.checked(["10.0.0/8"])


def test_names_are_asked_of_pasta(tmp_path: Path) -> None:
    machine = tmp_path / "resolv.conf"
    machine.write_text("# by hand\nnameserver 127.0.0.53\nsearch example.org\noptions edns0\n")
    assert network.resolv(machine) == f"nameserver {network.DNS}\nsearch example.org\noptions edns0\n"
    assert network.resolv(tmp_path / "none") == f"nameserver {network.DNS}\n"


NAMED = """
import asyncio, sys
from pathlib import Path
from flynn.plugins.host.sandbox.sandbox import SandboxBackend
from tests.contract.network import said, told
async def main(dir):
    backend = SandboxBackend(dir / "backend")
    await backend.open()
    ask = "python3 -c 'import socket; print(socket.gethostbyname(\\"some.name.example\\"))'"
    print(*await said(backend, told(dir, ask)))
asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen on port 53, and change what resolvers there are")
def test_names_are_known_where_only_loopback_answers(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    resolver = subprocess.Popen([sys.executable, "-c", RESOLVER, "127.0.0.53"], stdout=subprocess.PIPE)
    try:
        assert resolver.stdout
        assert resolver.stdout.readline() == b"serves\n"
        mount = 'mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)" && exec "$2" -c "$3" "$1"'
        words = ["unshare", "-m", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, NAMED]
        found = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    finally:
        resolver.kill()
        resolver.communicate()
    assert (found.stdout.strip(), found.returncode) == ("203.0.113.99", 0), found.stderr[-2000:]


def test_all_of_it_as_an_ordinary_user() -> None:
    """With a /dev/net/tun that such a user may open, as udev makes it."""
    if os.geteuid() == 0:
        tun = 'mknod -m 666 "$1/tun" c 10 200 && mount --bind "$1/tun" /dev/net/tun && shift && exec "$@"'
        told = again_as_ordinary_user(__file__, "unshare", "-m", "sh", "-c", tun, "sh", HOME)
        assert "no network of its own" not in told
