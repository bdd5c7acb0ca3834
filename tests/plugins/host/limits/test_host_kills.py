"""What the kernel counts of processes that it ended for memory, read once for all jobs."""

from pathlib import Path

from flynn.plugins.host.limits.host_kills import HOLDS, HostKills


def test_a_look_holds_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "vmstat"
    path.write_text("nr_free_pages 7\noom_kill 3\nswap_ra 0\n")
    kills = HostKills(path)
    assert kills.count(10.0) == 3
    path.write_text("nr_free_pages 7\noom_kill 4\nswap_ra 0\n")
    assert kills.count(10.0 + HOLDS / 2) == 3
    assert kills.count(10.0 + HOLDS) == 4


def test_nobody_knows_where_it_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "vmstat"
    assert HostKills(path).count(1.0) is None
    path.write_text("nr_free_pages 7\ndrop_oom_kill 4\n")
    assert HostKills(path).count(1.0) is None
