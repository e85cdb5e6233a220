"""When a managed block counts as lost: once it is gone and the program that took it out has come to an end."""

from __future__ import annotations

import os
from pathlib import Path

from kubectl_localize.host.hosts import HOSTS_FILE, render_block
from kubectl_localize.model import HostsLine
from kubectl_localize.supervisor.forwarding.hosts_file_monitor import HostsFileMonitor

LINES = (HostsLine("127.71.4.19", ("web.shop", "web")),)
NAMES = frozenset({"web.shop", "mine.shop"})
OTHER_LINES = (HostsLine("127.71.4.20", ("api.shop",)),)
BLOCK = render_block("dev-1", "dev", LINES)


async def test_a_block_that_is_there_is_not_lost_whatever_others_write(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    for text in (BLOCK, "192.0.2.7 above.example\n" + BLOCK, BLOCK + "192.0.2.8 below.example\n"):
        hosts.write_text(text)
        assert [await monitor.lost(LINES, NAMES) for _ in range(3)] == [False, False, False]


async def test_it_is_lost_when_the_file_without_it_has_come_to_rest(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(BLOCK)
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert not await monitor.lost(LINES, NAMES)
    hosts.write_text("127.0.0.1 local")
    assert not await monitor.lost(LINES, NAMES), "somebody may still be writing"
    hosts.write_text("127.0.0.1 localhost\n")
    assert not await monitor.lost(LINES, NAMES), "somebody was"
    assert await monitor.lost(LINES, NAMES)


async def test_a_file_that_is_not_there_has_lost_nothing_until_it_is_back(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert not await monitor.lost(LINES, NAMES)
    hosts.unlink()
    assert [await monitor.lost(LINES, NAMES) for _ in range(3)] == [False, False, False]
    hosts.write_text("127.0.0.1 localhost\n")
    assert [await monitor.lost(LINES, NAMES) for _ in range(2)] == [False, True]


async def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(BLOCK)
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert not await monitor.lost(LINES, NAMES)
    assert [await monitor.lost(OTHER_LINES, NAMES) for _ in range(3)] == [False, False, False], "what it said was known"


async def test_what_is_forgotten_is_read_again(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(BLOCK)
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert [await monitor.lost(LINES, NAMES) for _ in range(2)] == [False, False]
    monitor.forget()
    assert [await monitor.lost(OTHER_LINES, NAMES) for _ in range(2)] == [False, True]


async def test_a_file_is_read_again_if_there_are_new_names(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(BLOCK + "192.0.2.1 mine.shop\n")
    monitor = HostsFileMonitor(str(hosts), "dev-1")
    assert not await monitor.lost(LINES, frozenset())
    assert monitor.holders == {}
    assert not await monitor.lost(LINES, NAMES)
    assert monitor.holders == {"mine.shop": HOSTS_FILE}


async def test_a_pipe_in_its_place_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hosts")
    monitor = HostsFileMonitor(str(tmp_path / "hosts"), "dev-1")
    assert [await monitor.lost(LINES, NAMES) for _ in range(3)] == [False, False, False]
    assert monitor.holders == {}


async def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("192.0.2.1 mine.shop\n")
    (tmp_path / "hosts").symlink_to(tmp_path / "real")
    monitor = HostsFileMonitor(str(tmp_path / "hosts"), "dev-1")
    assert [await monitor.lost(LINES, NAMES) for _ in range(2)] == [False, True]
    assert monitor.holders == {"mine.shop": HOSTS_FILE}
