"""The helper without sudo, as a real process that writes a hosts file of the test's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubectl_localize.host.helper import begin_key
from kubectl_localize.host.helper_client import Helper
from kubectl_localize.host.helper_command import helper_argv
from kubectl_localize.host.helper_server import HelperServer
from kubectl_localize.host.paths import context_key
from kubectl_localize.model import HostsLine
from kubectl_localize.supervisor.forwarding.unprivileged_helper import UnprivilegedHelper
from tests.unit.supervisor.loop import until

KEY = context_key("dev", "https://10.113.0.2:6443", os.getuid(), Path("/home/alice/.kube/localize"))
LINES = (HostsLine("127.71.4.19", ("web.shop",)),)


@asynccontextmanager
async def own_helper(ip_range: str = "127.64.0.0/10") -> AsyncIterator[tuple[UnprivilegedHelper, Path]]:
    """One that may begin, and the hosts file that it writes."""
    with tempfile.TemporaryDirectory(prefix="kl", dir="/tmp") as name:
        path, hosts = Path(name) / "own.sock", Path(name) / "hosts"
        argv = helper_argv(
            socket=path,
            uid=os.getuid(),
            key=KEY,
            hosts_file=str(hosts),
            ip_range=ip_range,
            use_sudo=False,
            interactive=False,
        )
        own = UnprivilegedHelper(HelperServer(path), argv)
        try:
            yield own, hosts
        finally:
            await own.close()


def _connected(own: UnprivilegedHelper) -> Helper:
    assert own.helper is not None
    return own.helper


def _is_gone(own: UnprivilegedHelper) -> bool:
    return own.helper is None


async def test_one_that_is_gone_is_begun_again_and_writes_again() -> None:
    async with own_helper() as (own, hosts):
        await own.look_after()
        assert _is_gone(own), "it is not begun before it is wanted"
        await own.begin()
        first = _connected(own)
        await own.look_after()
        assert own.helper is first
        await first.close()
        await until(lambda: _is_gone(own))
        await own.look_after()
        assert _connected(own) is not first
        await _connected(own).set_hosts("dev", LINES)
        assert begin_key(hosts.read_text().splitlines()[0]) == KEY
        await own.close()
        assert not hosts.exists()
        await own.look_after()
        assert _is_gone(own)


async def test_one_that_does_not_start_says_why_once(caplog: pytest.LogCaptureFixture) -> None:
    async with own_helper("127.0.0.0/8") as (own, _):
        await own.begin()
        await own.look_after()
        assert _is_gone(own)
    [record] = caplog.records
    assert "the range 127.0.0.0/8 is not within" in record.getMessage()
