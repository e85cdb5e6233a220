"""When a managed block counts as lost: once it is gone and the program that took it out has come to an end."""

from __future__ import annotations

from pathlib import Path

from kubectl_localize.host.hosts import render_block
from kubectl_localize.model import HostsLine
from kubectl_localize.supervisor.forwarding.hosts_writer import HostsFileMonitor

LINES = (HostsLine("127.71.4.19", ("web.shop", "web")),)
OTHER_LINES = (HostsLine("127.71.4.20", ("api.shop",)),)
BLOCK = render_block("dev-1", "dev", LINES)


def test_a_block_that_is_there_is_not_lost_whatever_others_write(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    for text in (BLOCK, "192.0.2.7 above.example\n" + BLOCK, BLOCK + "192.0.2.8 below.example\n"):
        hosts.write_text(text)
        assert [monitor.lost(LINES) for _ in range(3)] == [False, False, False]


def test_it_is_lost_when_the_file_without_it_has_come_to_rest(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(BLOCK)
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert not monitor.lost(LINES)
    hosts.write_text("127.0.0.1 local")
    assert not monitor.lost(LINES), "somebody may still be writing"
    hosts.write_text("127.0.0.1 localhost\n")
    assert not monitor.lost(LINES), "somebody was"
    assert monitor.lost(LINES)


def test_a_file_that_is_not_there_has_lost_nothing_until_it_is_back(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert not monitor.lost(LINES)
    hosts.unlink()
    assert [monitor.lost(LINES) for _ in range(3)] == [False, False, False]
    hosts.write_text("127.0.0.1 localhost\n")
    assert [monitor.lost(LINES) for _ in range(2)] == [False, True]


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(BLOCK)
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert not monitor.lost(LINES)
    assert [monitor.lost(OTHER_LINES) for _ in range(3)] == [False, False, False], "what it said was known"


def test_what_is_forgotten_is_read_again(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(BLOCK)
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert [monitor.lost(LINES) for _ in range(2)] == [False, False]
    monitor.forget()
    assert [monitor.lost(OTHER_LINES) for _ in range(2)] == [False, True]
