"""What may be let pass before it comes to our rule, as `iptables -S` tells of rules."""

import pytest

from flynn.plugins.host.docker.chains import chains_of, is_first

OURS = "-i fl0123abcd+ -j FLYNN-0123abcd"


def first(*rules: str) -> bool:
    lines = ["-P PREROUTING ACCEPT", "-N FLYNN-0123abcd", "-N empty", *(f"-A {rule}" for rule in rules)]
    return is_first(chains_of("\n".join([*lines, ""])), "PREROUTING", OURS.split(), "fl0123abcd")


def test_ours_alone() -> None:
    assert first(f"PREROUTING {OURS}")
    assert not first()
    assert not first("PREROUTING -i fl0123abcd+ -j FLYNN-ffffffff"), "it is another's"
    assert first(f"PREROUTING {OURS}", "PREROUTING -j ACCEPT"), "what comes later does not matter"


@pytest.mark.parametrize(
    "rule",
    [
        "-j ACCEPT",
        "-j RETURN",
        "-p tcp -m tcp --dport 80 -j TPROXY --on-port 1 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1",
        "-j NFQUEUE --queue-num 0",
        "-i f+ -j ACCEPT",
        "-i + -j ACCEPT",
        "-i fl0123abcd7 -j ACCEPT",
        "-i fl0123abcdx+ -j ACCEPT",
        "! -i eth0 -j ACCEPT",
        "-i fl0123abcd+ -j deep",
        "-j deep",
        "-g empty",
        '-m comment --comment "-i eth0" -j ACCEPT',
        '-m comment --comment "two\nlines: \\"-j DROP\\"\n-a" -j ACCEPT',
    ],
)
def test_what_lets_pass(rule: str) -> None:
    deep = ("deep -j deeper", "deeper -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    assert not first(f"PREROUTING {rule}", f"PREROUTING {OURS}", *deep)
    assert first(f"PREROUTING {OURS}", f"PREROUTING {rule}", *deep)


@pytest.mark.parametrize(
    "rule",
    [
        "-i flffffffff+ -j FLYNN-ffffffff",
        "-i eth0 -j ACCEPT",
        "-i eth+ -j ACCEPT",
        "-j DROP",
        "-p udp -m comment --comment wg-quick -j CONNMARK --restore-mark",
        "-j empty",
        "-j mild",
        "-p tcp",
        '-m comment --comment "two\nlines:\n-j ACCEPT" -j MARK --set-xmark 0x1/0x1',
    ],
)
def test_what_does_not(rule: str) -> None:
    mild = ("mild -j RETURN", "mild -g empty", "mild -i eth0 -j ACCEPT", "mild -j MARK --set-xmark 0x1/0x1")
    assert first(f"PREROUTING {rule}", f"PREROUTING {OURS}", *mild)


@pytest.mark.parametrize(
    "odd",
    ['-N its"', '-A PREROUTING -m comment --comment "a\n-A PREROUTING -j ACCEPT" -j DROP'],
)
def test_what_can_be_read_in_two_ways_is_not_read(odd: str) -> None:
    text = f"-P PREROUTING ACCEPT\n{odd}\n-A PREROUTING {OURS}\n"
    with pytest.raises(ValueError, match="No closing quotation"):
        chains_of(text)
