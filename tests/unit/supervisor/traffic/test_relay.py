"""The bytes of a connection: both ways, half closed, held back, cut."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest

from kubectl_localize.supervisor.processes.lifecycle import Phase
from kubectl_localize.supervisor.processes.pool import STALL_SECONDS
from kubectl_localize.supervisor.traffic.buffer import BUFFER_BYTES
from kubectl_localize.supervisor.traffic.relay import REPLAY_BYTES, Relay
from tests.unit.fakes.listener_rig import Rig, rig
from tests.unit.supervisor.loop import settled, until


def kernel_bytes() -> int:
    """What the socket buffers of both connections may hold at most, which Linux lets grow to what its sysctls say."""
    limits = [Path(f"/proc/sys/net/ipv4/tcp_{name}mem") for name in "rw"]
    known = [int(limit.read_text().split()[2]) for limit in limits if limit.exists()]
    return 2 * sum(known) + BUFFER_BYTES if known else 16 * 1024 * 1024


def poured(stage: Rig) -> int:
    """How many bytes the pod got rid of."""
    path = Path(f"{stage.log}.poured")
    return int(path.read_text() or 0) if path.exists() else 0


async def test_many_bytes_both_ways_and_the_clients_end_does_not_end_the_answer(tmp_path: Path) -> None:
    data = os.urandom(3 * 1024 * 1024)
    async with rig({"a": "echo"}, tmp_path) as stage:
        reader, writer = await stage.connect(data)
        writer.write_eof()
        assert await reader.read() == data + b"a"
        writer.close()
        assert stage.listener.traffic.bytes_out == len(data)
        assert stage.listener.traffic.bytes_in == len(data) + 1


async def test_who_speaks_first_may_be_the_pod(tmp_path: Path) -> None:
    async with rig({"a": "greet"}, tmp_path) as stage:
        reader, writer = await stage.connect()
        assert await reader.readline() == b"a\n"
        writer.write_eof()
        assert await reader.read() == b"a"
        writer.close()


async def test_what_is_sent_before_there_is_a_child_is_bounded_and_arrives(tmp_path: Path) -> None:
    data = os.urandom(8 * 1024 * 1024)
    async with rig({"a": "echo"}, tmp_path) as stage:
        stage.may_start.clear()
        reader, writer = await stage.connect(data)
        writer.write_eof()
        await until(lambda: stage.listener.traffic.bytes_out >= REPLAY_BYTES)
        await asyncio.sleep(0)
        assert stage.listener.traffic.bytes_out <= REPLAY_BYTES + BUFFER_BYTES
        stage.may_start.set()
        assert await reader.read() == data + b"a"
        writer.close()


async def test_a_client_that_does_not_read_holds_the_pod_back(tmp_path: Path) -> None:
    async with rig({"a": "pour"}, tmp_path) as stage:
        reader, writer = await stage.connect(limit=1024)
        await reader.readexactly(1)
        held = await settled(lambda: poured(stage))
        assert held < kernel_bytes()
        assert stage.child("a").connections == 1
        await reader.readexactly(2 * held)
        assert poured(stage) > held
        writer.transport.abort()


async def test_a_pod_that_does_not_read_holds_the_client_back(tmp_path: Path) -> None:
    async with rig({"a": "deaf"}, tmp_path) as stage:
        _, writer = await stage.connect(b"x" * 2 * kernel_bytes())
        assert await settled(lambda: stage.listener.traffic.bytes_out) < kernel_bytes()
        writer.transport.abort()


async def test_a_stalled_client_holds_up_nobody_who_comes_later(tmp_path: Path) -> None:
    async with rig({"a": "pour"}, tmp_path) as stage:
        reader, writer = await stage.connect(limit=1024)
        await reader.readexactly(1)
        held = await settled(lambda: poured(stage))
        first = stage.child("a")
        stage.clock.now += STALL_SECONDS + 0.1
        other, other_writer = await stage.connect()
        await other.readexactly(1)
        assert stage.child("a") is not first
        assert first.phase is Phase.DRAINING
        await reader.readexactly(2 * held)
        writer.transport.abort()
        other_writer.transport.abort()


async def test_a_client_that_goes_in_the_middle_leaves_the_child_unharmed(tmp_path: Path) -> None:
    async with rig({"a": "pour"}, tmp_path) as stage:
        reader, writer = await stage.connect(limit=1024)
        await reader.readexactly(1)
        at_the_abort = await settled(lambda: poured(stage))
        writer.transport.abort()
        await until(lambda: poured(stage) > 2 * at_the_abort)
        child = stage.child("a")
        assert (child.phase, child.connections) == (Phase.RUNNING, 1)
        assert stage.listener.traffic.bytes_in < kernel_bytes(), "what nobody reads is no traffic"


async def test_a_child_that_is_killed_cuts_its_connections(tmp_path: Path) -> None:
    async with rig({"a": "pour"}, tmp_path) as stage:
        reader, _ = await stage.connect()
        await reader.readexactly(1)
        os.kill(stage.child("a").pid, 9)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        # It counts as failed as soon as the kernel says that it is ending; it is counted once it has ended.
        await until(lambda: stage.child("a").restarts == 1)
        assert (stage.child("a").phase, stage.child("a").connections) == (Phase.BACKOFF, 0)


def relays() -> int:
    """How many there are, those included that nobody uses any more."""
    return sum(isinstance(thing, Relay) for thing in gc.get_objects())


async def test_what_has_ended_does_not_wait_for_the_collector_of_cycles(tmp_path: Path) -> None:
    """It may not come for hours, and thousands of connections would be kept until then."""
    async with rig({"a": "greet"}, tmp_path) as stage:
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                reader, writer = await stage.connect()
                writer.write_eof()
                assert await reader.read() == b"a\na"
                writer.close()
            await until(lambda: stage.listener.traffic.open == 0)
            await until(lambda: relays() == 0)
        finally:
            gc.enable()
