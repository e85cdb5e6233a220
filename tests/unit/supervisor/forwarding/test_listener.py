"""Where a connection goes, how long it waits, and when it is tried again."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from pathlib import Path

import pytest

from kubectl_localize.errors import UnauthorizedError
from kubectl_localize.ls_document import Status
from kubectl_localize.supervisor.processes.lifecycle import Phase
from tests.unit.fakes.listener_rig import rig
from tests.unit.supervisor.loop import until


async def test_the_first_connections_share_one_child(tmp_path: Path) -> None:
    async with rig({"a": "pod", "b": "pod"}, tmp_path) as stage:
        assert (stage.started, stage.listener.status()) == ([], (Status.IDLE, ""))
        answers = await asyncio.gather(*(stage.ask("x") for _ in range(10)))
        assert set(answers) == {stage.started[0]}
        assert stage.started in (["a"], ["b"])
        assert stage.listener.status() == (Status.ACTIVE, "")
        await until(lambda: not stage.listener.traffic.open)
        assert stage.listener.traffic.total == 10
        assert (stage.listener.traffic.bytes_in, stage.listener.traffic.bytes_out) == (10, 20)


async def test_later_connections_spread_over_the_ready_pods(tmp_path: Path) -> None:
    async with rig({"a": "pod", "b": "pod", "c": "pod"}, tmp_path) as stage:
        for _ in range(3):
            await stage.ask("x")
            await until(lambda: all(child.phase is Phase.RUNNING for child in stage.listener.children()))
        assert sorted(stage.started) == ["a", "b", "c"]
        assert {await stage.ask("x") for _ in range(3)} == {"a", "b", "c"}


async def test_clients_keep_to_one_pod_until_it_goes_or_the_time_is_up(tmp_path: Path) -> None:
    async with rig({"a": "pod", "b": "pod", "c": "pod"}, tmp_path) as stage:
        stage.affinity_seconds = 600
        stage.ready("a", "b", "c")
        answers = await asyncio.gather(*(stage.ask("x") for _ in range(5)))
        first = answers[0]
        for _ in range(3):
            stage.clock.now += 500
            answers.append(await stage.ask("x"))
        assert set(answers) == {first}
        assert stage.started == [first], "no other pod's child is started in advance"
        others = {"a", "b", "c"} - {first}
        stage.ready(*others)
        second = await stage.ask("x")
        assert second in others
        stage.ready("a", "b", "c")
        assert {await stage.ask("x") for _ in range(3)} == {second}, "the first one is back, the client stays"
        stage.clock.now += 601
        stage.ready(first)
        assert await stage.ask("x") == first


async def test_a_pod_on_its_way_out_that_refuses_is_waited_out(tmp_path: Path) -> None:
    """Others will come for it: a connection is not given up as it is if every Ready pod refuses it."""
    async with rig({"a": "refuse", "b": "pod"}, tmp_path) as stage:
        stage.leaving = {"a"}
        stage.ready("a")
        asking = asyncio.create_task(stage.ask("x"))
        await until(lambda: bool(stage.started))
        stage.clock.now += 5
        stage.changed.fire()
        stage.ready("b")
        assert await asking == "b"


async def test_a_pod_that_is_not_ready_any_more_gets_no_new_connection_and_keeps_its_old_one(tmp_path: Path) -> None:
    async with rig({"a": "echo", "b": "echo"}, tmp_path) as stage:
        stage.ready("a")
        reader, writer = await stage.connect(b"1")
        assert await reader.readexactly(1) == b"1"
        stage.ready("b")
        old = stage.child("a")
        stage.pool.keep([])
        assert old.phase is Phase.DRAINING
        new_reader, new_writer = await stage.connect(b"2")
        new_writer.write_eof()
        assert await new_reader.read() == b"2b"
        writer.write(b"3")
        writer.write_eof()
        assert await reader.read() == b"3a"
        await until(lambda: old.phase is Phase.IDLE)
        assert not old.pid
        writer.close()
        new_writer.close()


async def test_a_connection_waits_for_an_endpoint(tmp_path: Path) -> None:
    async with rig({"a": "pod"}, tmp_path) as stage:
        stage.ready()
        assert stage.listener.status() == (Status.WAITING, "no Ready pod")
        asking = asyncio.create_task(stage.ask("x"))
        await until(lambda: stage.listener.traffic.open)
        stage.ready("a")
        assert await asking == "a"


async def test_a_connection_waits_while_the_cluster_is_away(tmp_path: Path) -> None:
    async with rig({"a": "pod"}, tmp_path) as stage:
        assert await stage.ask("x") == "a"
        stage.link.up = False
        stage.pool.renew()
        assert stage.listener.status() == (Status.WAITING, "the API server does not answer")
        sent = stage.listener.traffic.bytes_out
        asking = asyncio.create_task(stage.ask("x"))
        await until(lambda: stage.listener.traffic.bytes_out > sent)
        assert stage.started == ["a"]
        stage.link.up = True
        stage.changed.fire()
        assert await asking == "a"
        assert stage.started == ["a", "a"]


async def test_who_waits_for_too_long_is_reset(tmp_path: Path) -> None:
    async with rig({}, tmp_path, wait_timeout_seconds=0.05) as stage:
        reader, _ = await stage.connect(b"x")
        await until(lambda: stage.listener.traffic.open)
        stage.clock.now += 1
        stage.changed.fire()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await until(lambda: not stage.listener.traffic.open)


async def test_who_goes_while_waiting_is_forgotten(tmp_path: Path) -> None:
    async with rig({}, tmp_path) as stage:
        _, writer = await stage.connect(b"x")
        await until(lambda: stage.listener.traffic.open)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await until(lambda: not stage.listener.traffic.open)


async def test_a_client_that_is_not_served_is_reset_and_starts_nothing_and_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        async with rig({"a": "pod"}, tmp_path, owner=1001) as stage:
            assert {await stage.ask("x") for _ in range(5)} == {"reset"}
            assert (stage.started, stage.listener.traffic.total) == ([], 0)
            reason = "was reset: its client belongs to another user (uid 1001)"
            lines = [message for message in caplog.messages if "reset" in message]
            assert lines == [f"a connection to port {stage.listener.local_port} {reason}"], "the others are counted"


async def test_a_pod_that_cannot_be_dialled_is_followed_by_another(tmp_path: Path) -> None:
    async with rig({"a": "refuse", "b": "pod"}, tmp_path) as stage:
        stage.ready("a")
        asking = asyncio.create_task(stage.ask("POST"))
        await until(lambda: stage.started and stage.child("a").phase is not Phase.STARTING)
        stage.ready("a", "b")
        assert await asking == "b"
        assert stage.noted() == ["b POST"]
        assert stage.child("a").state.reason == "the pod refuses connections on this port"


async def test_where_every_pod_refuses_the_client_is_reset(tmp_path: Path) -> None:
    async with rig({"a": "refuse"}, tmp_path) as stage:
        asking = asyncio.create_task(stage.ask("x"))
        await until(lambda: stage.started and stage.child("a").phase is Phase.BACKOFF)
        began = stage.clock.now
        while not asking.done():
            stage.clock.now += 0.5
            stage.changed.fire()
            await asyncio.wait((asking,), timeout=0.01)
        assert await asking == "reset"
        assert stage.clock.now - began < stage.terms.wait_timeout_seconds, "it must not wait as for a new pod"
        status, reason = stage.listener.status()
        assert status is Status.BACKOFF
        assert reason in ("the pod refuses connections on this port", "kubectl port-forward is ending")
        await until(lambda: stage.listener.status()[1] == "the pod refuses connections on this port")


async def test_the_youngest_is_taken_for_the_one_that_was_refused(tmp_path: Path) -> None:
    async with rig({"a": "pod", "b": "pod"}, tmp_path) as stage:
        stage.ready("a")
        older = asyncio.create_task(stage.ask("hold"))
        await until(lambda: stage.noted() == ["a hold"])
        younger, writer = await stage.connect(b"refuse\n")
        await until(lambda: len(stage.noted()) == 2)
        stage.how["b"] = "echo"
        stage.ready("a", "b")
        assert await older == "reset", "it was delivered, so it must not be sent again"
        assert await younger.readline() == b"refuse\n", "b echoes it"
        assert stage.started == ["a", "b"]
        assert stage.noted() == ["a hold", "a refuse"]
        writer.close()


@pytest.mark.parametrize("how", ["die", "reset", "half"])
async def test_what_was_delivered_is_never_sent_again(tmp_path: Path, how: str) -> None:
    async with rig({"a": "pod", "b": "pod"}, tmp_path) as stage:
        stage.ready("a")
        asking = asyncio.create_task(stage.ask(how))
        await until(stage.noted)
        stage.ready("a", "b")
        assert await asking == "reset", "an end that is cut must not look like an orderly one"
        assert stage.noted() == [f"a {how}"]
        assert await stage.ask("x") in ("a", "b")


async def test_what_was_delivered_later_is_not_sent_again_either(tmp_path: Path) -> None:
    async with rig({"a": "pod", "b": "pod"}, tmp_path) as stage:
        stage.ready("a")
        reader, writer = await stage.connect()
        await until(lambda: stage.started and stage.child("a").connections)
        writer.write(b"die\n")
        await until(stage.noted)
        stage.ready("a", "b")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert stage.noted() == ["a die"]


async def test_what_a_pod_that_is_gone_had_got_is_reset(tmp_path: Path) -> None:
    async with rig({"a": "pod", "b": "pod"}, tmp_path) as stage:
        stage.ready("a")
        asking = asyncio.create_task(stage.ask("hold"))
        await until(stage.noted)
        stage.ready("b")
        stage.pool.keep([])
        stage.gone = {"a"}
        stage.pool.look_after(lambda _: True)
        assert await asking == "reset"
        assert stage.noted() == ["a hold"]


async def test_a_kubectl_that_wedges_after_a_refusal_is_ended_and_another_one_started(tmp_path: Path) -> None:
    async with rig({"a": "wedge"}, tmp_path) as stage:
        stage.ready("a")
        first = asyncio.create_task(stage.ask("x"))
        await until(lambda: stage.started and stage.child("a").phase is Phase.BACKOFF)
        await until(lambda: not stage.child("a").pid)
        stage.clock.now += 10
        assert await first == "reset"
        second = asyncio.create_task(stage.ask("x"))
        await until(lambda: stage.started == ["a", "a"])
        stage.clock.now += 10
        assert await second == "reset"


async def test_a_connection_that_has_sent_nothing_outlives_its_child(tmp_path: Path) -> None:
    async with rig({"a": "pod"}, tmp_path) as stage:
        reader, writer = await stage.connect()
        await until(lambda: stage.started and stage.child("a").connections)
        await asyncio.gather(stage.ask("die"), until(lambda: stage.child("a").phase is Phase.BACKOFF))
        stage.clock.now += 1
        writer.write(b"x\n")
        assert await reader.read() == b"a"
        assert stage.started == ["a", "a"]
        writer.close()


async def test_an_end_without_an_answer_is_an_orderly_end(tmp_path: Path) -> None:
    async with rig({"a": "pod"}, tmp_path) as stage:
        asking = asyncio.create_task(stage.ask("empty"))
        await until(stage.noted)
        while not asking.done():
            stage.clock.now += 0.1
            await asyncio.wait((asking,), timeout=0.02)
        assert await asking == ""
        assert stage.noted() == ["a empty"]


async def test_a_child_that_cannot_start_backs_off_and_another_pod_serves(tmp_path: Path) -> None:
    async with rig({"a": "exit", "b": "pod"}, tmp_path) as stage:
        stage.ready("a")
        asking = asyncio.create_task(stage.ask("x"))
        await until(lambda: stage.started and stage.child("a").phase is Phase.BACKOFF)
        assert stage.child("a").state.reason == 'pods "gone" not found'
        stage.ready("a", "b")
        assert await asking == "b"


async def test_closing_resets_what_is_open_and_stops_listening(tmp_path: Path) -> None:
    async with rig({"a": "echo"}, tmp_path) as stage:
        reader, _ = await stage.connect(b"1")
        await reader.readexactly(1)
        port = stage.listener.local_port
        await stage.listener.close()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not stage.listener.listening


async def test_a_child_that_carries_nothing_any_more_is_replaced_and_a_request_that_does_no_harm_is_repeated(
    tmp_path: Path,
) -> None:
    async with rig({"a": "deaf"}, tmp_path) as stage:
        safe, safe_writer = await stage.connect(b"GET / HTTP/1.0\r\n\r\n")
        silent, silent_writer = await stage.connect()
        unsafe, _ = await stage.connect(b"POST / HTTP/1.0\r\n\r\n")
        await until(lambda: stage.listener.traffic.open == 3 and stage.child("a").connections == 3)
        stage.how["a"] = "pod"
        stage.clock.now += 2
        assert await safe.read() == b"a"
        silent_writer.write(b"x\n")
        assert await silent.read() == b"a", "nothing of it was sent"
        with pytest.raises(ConnectionResetError):
            await unsafe.read()
        assert stage.started == ["a", "a"]
        safe_writer.close()


async def test_a_pod_that_takes_its_time_keeps_its_child(tmp_path: Path) -> None:
    async with rig({"a": "pod"}, tmp_path) as stage:
        _, writer = await stage.connect(b"hold\n")
        await until(lambda: stage.noted() == ["a hold"])
        child = stage.child("a")
        stage.clock.now += 2
        await until(lambda: stage.noted() == ["a hold", "a "])
        assert (child.phase, stage.child("a"), child.connections) == (Phase.RUNNING, child, 1)
        writer.close()


async def test_what_failed_for_a_lasting_reason_is_shown_after_its_time_and_tried_again_when_it_is_mended(
    tmp_path: Path,
) -> None:
    async with rig({"a": "forbidden"}, tmp_path) as stage:
        asking = asyncio.create_task(stage.ask("x"))
        await until(lambda: bool(stage.started) and stage.child("a").phase is Phase.FAILED)
        stage.clock.now += 100
        stage.changed.fire()
        assert await asking == "reset"
        status, reason = stage.listener.status()
        assert (status, "forbidden" in reason) == (Status.BACKOFF, True)
        stage.how["a"] = "pod"
        stage.pool.retry_failed()
        assert await stage.ask("x") == "a"
        assert stage.listener.status() == (Status.ACTIVE, "")


async def test_what_the_cluster_does_not_accept_is_shown_before_anybody_connects(tmp_path: Path) -> None:
    async with rig({"a": "pod"}, tmp_path) as stage:
        stage.access.failed(UnauthorizedError("token expired"))
        assert stage.listener.status() == (Status.BACKOFF, "token expired")
        stage.access.worked()
        assert stage.listener.status() == (Status.IDLE, "")
