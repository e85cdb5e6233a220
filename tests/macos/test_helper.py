"""The helper through the real sudo: an address of its own on lo0, a name, a low port, and nothing left."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kubectl_localize.host.helper import SYSTEM_HOSTS
from kubectl_localize.host.helper_client import Helper
from kubectl_localize.host.helper_command import helper_argv
from kubectl_localize.host.helper_server import HelperServer
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.model import HostsLine

ADDRESS = "127.99.99.98"
NAME = "web.kubectl-localize-test"


@pytest.fixture(autouse=True)
def _mac() -> None:
    """These fail elsewhere, rather than be left out."""
    assert sys.platform == "darwin", "these tests need a Mac"


def lo0() -> str:
    return subprocess.run(["/sbin/ifconfig", "lo0"], capture_output=True, text=True, check=True).stdout


def with_helper(directory: Path, act: Callable[[Helper], Awaitable[None]]) -> None:
    """Start root's helper, act, and let it undo everything."""

    async def run() -> None:
        server = HelperServer(directory / "helper.sock")
        await server.start()
        try:
            argv = helper_argv(
                socket=directory / "helper.sock",
                uid=os.getuid(),
                key=f"test-macos-{os.getuid()}",
                hosts_file=SYSTEM_HOSTS,
                ip_range="127.64.0.0/10",
                use_sudo=True,
                interactive=False,
            )
            process = await asyncio.create_subprocess_exec(*argv)
            assert await process.wait() == 0, "sudo without a password is needed: run `sudo -v` first"
            helper = server.helper
            assert helper is not None
            await act(helper)
        finally:
            await server.close()

    asyncio.run(run())


def test_an_address_is_added_bound_and_dropped_again(short_dir: Path) -> None:
    async def act(helper: Helper) -> None:
        await helper.alias(ADDRESS, True)
        assert f"inet {ADDRESS} " in lo0()
        with bind_loopback(ADDRESS, 0) as bound:
            bound.listen()
            with socket.create_connection(bound.getsockname(), 5):
                pass
        low = await helper.bind(ADDRESS, 81)
        with low:
            assert low.getsockname() == (ADDRESS, 81)

    with_helper(short_dir, act)
    assert ADDRESS not in lo0()


def test_a_name_resolves_as_soon_as_it_is_written_and_no_longer_than_it_is_there(short_dir: Path) -> None:
    before = Path(SYSTEM_HOSTS).read_bytes()

    async def act(helper: Helper) -> None:
        await helper.set_hosts("test", [HostsLine(ADDRESS, (NAME,))])
        answers = await asyncio.get_running_loop().getaddrinfo(NAME, 80, family=socket.AF_INET)
        assert {address[0] for *_, address in answers} == {ADDRESS}

    with_helper(short_dir, act)
    assert Path(SYSTEM_HOSTS).read_bytes() == before
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(NAME, 80, socket.AF_INET)
