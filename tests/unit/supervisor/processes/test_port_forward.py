"""A `kubectl port-forward` from its command line to its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from kubectl_localize.errors import KubectlError, NotFoundError, SpawnError
from kubectl_localize.supervisor.processes.port_forward import PortForward, PortForwarder, Target
from kubectl_localize.supervisor.processes.process import Process, Spawner
from tests.unit.cluster.samples import CONNECTION, NO_POD
from tests.unit.fakes.groups import Groups

TARGET = Target("shop", "web-abc", 8080)
LISTENS = "echo 'Forwarding from 127.0.0.1:40123 -> 8080'; "


class Shell:
    """Runs a shell program as kubectl (`ProcessSpawner`), and keeps the command lines that it was asked for."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.asked: list[list[str]] = []

    async def spawn(self, argv: Sequence[str], on_error_line: Callable[[str], None] | None = None) -> Process:
        self.asked.append(list(argv))
        return await Spawner(Groups(), os.environ).spawn(["sh", "-c", self.program], on_error_line)


async def start(program: str) -> PortForward:
    """A port-forward whose kubectl is a shell program."""
    return await PortForwarder(CONNECTION, Shell(program)).start(TARGET)


async def test_the_command_names_pod_port_and_namespace_and_lets_kubectl_choose_the_local_port() -> None:
    shell = Shell("exec sleep 60")
    async with await PortForwarder(CONNECTION, shell).start(TARGET):
        pass
    assert {"port-forward", "pod/web-abc", ":8080", "--namespace=shop"} <= set(shell.asked[0])


async def test_it_is_stopped_at_the_end_of_the_block() -> None:
    async with await start(LISTENS + "exec sleep 60") as forward:
        assert (await forward.await_port(), forward.port) == (40123, 40123)
        assert forward.alive
    assert not forward.alive


async def test_one_that_ends_instead_of_listening_says_why() -> None:
    async with await start(f"echo '{NO_POD}' >&2; exit 1") as forward:
        with pytest.raises(NotFoundError, match="not found"):
            await forward.await_port()


async def test_one_that_neither_listens_nor_ends_is_given_up() -> None:
    async with await start("exec sleep 60") as forward:
        with pytest.raises(KubectlError, match=r"shop/web-abc:8080 does not listen after 0\.05 s"):
            await forward.await_port(timeout_seconds=0.05)
        assert forward.alive


async def test_its_end_is_waited_for_whatever_it_writes_meanwhile() -> None:
    chatter = "i=0; while [ $i -lt 20000 ]; do echo 'Handling connection for 40123'; i=$((i + 1)); done; "
    async with await start(LISTENS + chatter + "echo 'error: lost connection to pod' >&2; exit 1") as forward:
        await forward.await_port()
        cause = await forward.ended()
    assert cause.message == "lost connection to pod"


async def test_a_kubectl_that_cannot_be_started() -> None:
    with pytest.raises(SpawnError, match="cannot be started: No such file or directory"):
        await PortForwarder(replace(CONNECTION, kubectl="/nowhere/kubectl"), Spawner(Groups(), {})).start(TARGET)
