"""What is decided of apps' own networks: which piece of the pool, and by what rules containers are held back."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core.errors import StartError
from flynn.plugins.host.docker import walls
from flynn.plugins.host.docker.networks import PIECE, Networks, pieces, pool_of, routed
from flynn.plugins.host.docker.walls import Walls, bridge_of, chain_of, rules
from tests.small import fill, mounted_disk

MARK = "0123abcd"
POOL = IPv4Network("10.213.0.0/16")
NETWORKS = st.builds(
    lambda address, bits: IPv4Network((address, bits), strict=False),
    st.integers(int(POOL.network_address) - 70_000, int(POOL.broadcast_address) + 70_000),
    st.integers(12, 32),
)


@given(st.lists(NETWORKS, max_size=8))
def test_pieces_are_of_the_pool_and_free(taken: list[IPv4Network]) -> None:
    found = list(pieces(POOL, taken))
    assert all(piece.subnet_of(POOL) and piece.prefixlen == PIECE for piece in found)
    assert not [piece for piece in found for network in taken if piece.overlaps(network)]
    touched = {piece for network in taken for piece in POOL.subnets(new_prefix=PIECE) if piece.overlaps(network)}
    assert len(found) + len(touched) == 256


def test_a_pool_is_a_network_with_room() -> None:
    assert pool_of("10.0.0.0/8").prefixlen == 8
    assert list(pieces(pool_of("192.168.7.0/24"), ())) == [IPv4Network("192.168.7.0/24")]
    for wrong in ("10.0.0.0/25", "10.0.0.1/16", "fd00::/48", "0.0.0.0/0", "bridges"):
        with pytest.raises(StartError, match=r"host\.app_networks: .* is no good; write a network of IPv4"):
            pool_of(wrong)


def test_routes_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    rows = [
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
        "tun0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
    ]
    (tmp_path / "route").write_text("\n".join(rows) + "\n")
    assert routed(tmp_path / "route") == [IPv4Network("192.0.2.0/24"), IPv4Network("10.213.0.0/16")]
    assert routed(tmp_path / "none") == []


def test_names_are_of_one_backend_and_one_app(tmp_path: Path) -> None:
    one, other = Networks(tmp_path / "a"), Networks(tmp_path / "b")
    names = {networks.name_of(app) for networks in (one, other) for app in ("", "app", "x" * 50, "x" * 49)}
    assert len(names) == 8
    assert one.mark != other.mark
    assert len(bridge_of(one.mark, 65_535, build=True)) < 16
    assert len({one.name_of("app", build) for build in ("", "build-1", "build-2")}) == 3
    assert len(chain_of(one.mark)) < 29


def test_a_full_disk_does_not_let_the_next_daemon_forget_whom_nobody_reaches(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", 1) as disk:
        networks = Networks(disk)
        networks._save(["198.51.100.0/24"])
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            networks._save(["198.51.100.0/24"] * 1000)
        assert networks.known() == ("198.51.100.0/24",)


def test_the_first_rule_that_fits_counts() -> None:
    bridge, own = bridge_of(MARK, 3), IPv4Network("10.213.3.0/24")
    found = rules(Walls(MARK, POOL, ((bridge, own),), ("10.0.0.53",), ("10.0.0.0/24", "fd00::/8", "10.213.9.9/32")))
    assert found == [
        "-A FLYNN-0123abcd ! -i fl0123abcdx+ -m conntrack --ctdir REPLY -j RETURN",
        "-A FLYNN-0123abcd -d 10.0.0.53/32 -p udp --dport 53 -j RETURN",
        "-A FLYNN-0123abcd -d 10.0.0.53/32 -p tcp --dport 53 -j RETURN",
        "-A FLYNN-0123abcd -m addrtype ! --dst-type UNICAST -j DROP",
        "-A FLYNN-0123abcd -i fl0123abcd3 -d 10.213.3.0/24 -j RETURN",
        "-A FLYNN-0123abcd -d 10.213.0.0/16 -j DROP",
        "-A FLYNN-0123abcd -d 10.0.0.0/24 -j DROP",
    ]


def test_resolvers_on_loopback_are_asked_by_the_engine(tmp_path: Path) -> None:
    stub, real = tmp_path / "resolv.conf", tmp_path / "real"
    stub.write_text(
        "# by systemd\nnameserver 127.0.0.53\nnameserver\nnameserver 8.8.8.8,9.9.9.9\nnameserver router\nsearch x\n"
    )
    real.write_text("nameserver 10.0.0.2\nnameserver fd00::2\nnameserver 10.0.0.2\n")
    assert walls.resolvers((stub, real, tmp_path / "none")) == ["10.0.0.2"]
    assert all(IPv4Address(one) for one in walls.resolvers())
