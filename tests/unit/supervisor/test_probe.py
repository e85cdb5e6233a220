"""Whether the API server can be reached, told by a real listening socket that goes and comes back."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.supervisor.probe import SLEEP_SECONDS, ApiServerProbe, probe_address
from kubectl_localize.timing import Notifier
from tests.unit.cluster.samples import CONNECTION
from tests.unit.supervisor.loop import until


@pytest.mark.parametrize(
    ("server", "proxy", "address"),
    [
        ("https://10.0.0.1:6443", "", ("10.0.0.1", 6443)),
        ("https://api.example.com/k8s/c-1", "", ("api.example.com", 443)),
        ("http://localhost", "", ("localhost", 80)),
        ("https://[fd00::1]:6443", "", ("fd00::1", 6443)),
        ("https://api.example.com", "socks5://localhost", ("localhost", 1080)),
        ("https://api.example.com", "http://proxy:3128", ("proxy", 3128)),
    ],
)
def test_what_is_probed(server: str, proxy: str, address: tuple[str, int]) -> None:
    assert probe_address(replace(CONNECTION, server=server, proxy=proxy)) == address


@pytest.mark.parametrize("server", ["https://10.0.0.1:99999x", "https://10.0.0.1:99999", "https://[::1:6443"])
def test_a_server_that_cannot_be_is_an_error_in_words(server: str) -> None:
    with pytest.raises(LocalizeError, match=r"has the server address https://.*, which is invalid") as caught:
        probe_address(replace(CONNECTION, server=server))
    assert "kubectl config" in caught.value.hint


async def test_after_a_move_the_new_address_is_probed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        stage = Stage(first.getsockname())
        probing = asyncio.create_task(stage.link.run())
        first.setblocking(False)
        second.setblocking(False)
        accepted, _ = await asyncio.get_running_loop().sock_accept(first)
        accepted.close()
        stage.link.move(second.getsockname())
        accepted, _ = await asyncio.get_running_loop().sock_accept(second)
        accepted.close()
        probing.cancel()
        assert stage.link.up


async def test_a_move_while_the_old_host_is_looked_up_forgets_the_old_hosts_addresses() -> None:
    with (
        socket.create_server(("127.0.0.2", 0)) as second,
        socket.create_server(("127.0.0.1", second.getsockname()[1])),  # somebody else's, on the old host
        bind_loopback("127.0.0.1", 0) as silent,
    ):
        stage = Stage(silent.getsockname())
        stage.move_to = second.getsockname()
        probing = asyncio.create_task(stage.link.run())
        second.setblocking(False)
        accepted, _ = await asyncio.get_running_loop().sock_accept(second)
        accepted.close()
        probing.cancel()
        assert stage.looked_up == ["127.0.0.1", "127.0.0.2"]


class Stage:
    """A link to a socket of ours, whose host has these addresses, and how often it was renewed."""

    def __init__(self, address: tuple[str, int], *addresses: str) -> None:
        self.renewals = 0
        self.ahead = 0.0
        self.changed = Notifier()
        self.link = ApiServerProbe(
            address, resolve=self._resolve, boot_ahead=lambda: self.ahead, changed=self.changed, renewable=self
        )
        self.looked_up: list[str] = []
        self.move_to: tuple[str, int] | None = None  # where it is moved to while the next host is looked up
        self._addresses = list(addresses)

    async def _resolve(self, host: str) -> list[str]:
        self.looked_up.append(host)
        if self.move_to is not None:
            self.link.move(self.move_to)
            self.move_to = None
        return list(self._addresses) or [host]

    def renew(self) -> None:
        self.renewals += 1


async def test_an_outage_ends_with_a_renewal() -> None:
    probed = asyncio.Event()

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probed.set()
        writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    stage = Stage(address, "127.0.0.9", "127.0.0.1")  # nobody listens at the first one
    running = asyncio.create_task(stage.link.run())
    await probed.wait()
    server.close()
    await until(lambda: not stage.link.up)
    waiting = asyncio.create_task(stage.link.wait_up())
    await asyncio.sleep(0)
    assert (stage.renewals, stage.changed.count, waiting.done()) == (0, 1, False)
    with socket.create_server(address):
        await waiting
        assert (stage.link.up, stage.renewals, stage.changed.count) == (True, 1, 2)
    running.cancel()


@pytest.mark.parametrize(("ahead", "renewals"), [(SLEEP_SECONDS + 1, 1), (0.1, 0)])
async def test_a_sleep_means_a_renewal_though_no_probe_failed(ahead: float, renewals: int) -> None:
    probes = 0

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal probes
        probes += 1
        writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    stage = Stage(server.sockets[0].getsockname())
    stage.ahead = ahead
    running = asyncio.create_task(stage.link.run())
    await until(lambda: stage.renewals if renewals else probes == 2)
    assert stage.renewals == renewals
    assert stage.link.up
    running.cancel()
    server.close()


async def test_an_address_that_has_never_answered_proves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    stage = Stage(address)
    asked = 0

    async def resolve(host: str) -> list[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"]

    link = ApiServerProbe(address, resolve=resolve, boot_ahead=lambda: 0.0, changed=stage.changed, renewable=stage)
    running = asyncio.create_task(link.run())
    await until(lambda: asked == 3)
    assert link.up, "kubectl may get there by another way"
    running.cancel()
