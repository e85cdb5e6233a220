"""Children come with connections, and go when they are idle, too many, or not wanted any more."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from kubectl_localize.errors import SpawnError
from kubectl_localize.supervisor.processes.child import Child
from kubectl_localize.supervisor.processes.lifecycle import Phase
from kubectl_localize.supervisor.processes.port_forward import Target
from tests.unit.fakes.listener_rig import Rig, rig
from tests.unit.supervisor.loop import until


def target(pod: str) -> Target:
    """The port of a pod."""
    return Target("shop", pod, 8080)


async def running(stage: Rig, pod: str) -> Child:
    """The pod's child, started and running."""
    child = stage.pool.want(target(pod))
    await until(lambda: child.phase is Phase.RUNNING)
    return child


async def test_a_child_is_started_once_and_known_while_it_lives(tmp_path: Path) -> None:
    async with rig({"a": "echo"}, tmp_path) as stage:
        assert stage.pool.get(target("a")) is None
        child = await running(stage, "a")
        assert stage.pool.want(target("a")) is child
        assert stage.pool.get(target("a")) is child
        assert (stage.started, list(stage.pool.live())) == (["a"], [child])
        assert child.pid
        assert child.port


async def test_an_idle_child_is_stopped_when_its_time_is_up(tmp_path: Path) -> None:
    async with rig({"a": "echo", "b": "echo"}, tmp_path) as stage:
        stage.ready("a")
        reader, _ = await stage.connect(b"1")
        await reader.readexactly(1)
        busy, idle = stage.child("a"), await running(stage, "b")
        stage.clock.now += 59
        stage.pool.sweep()
        assert (busy.phase, idle.phase) == (Phase.RUNNING, Phase.RUNNING)
        stage.clock.now += 2
        stage.pool.sweep()
        assert (busy.phase, idle.phase) == (Phase.RUNNING, Phase.STOPPING)
        await until(lambda: idle.phase is Phase.IDLE)
        assert list(stage.pool.live()) == [busy]
        assert idle.restarts == 0


async def test_time_counts_from_when_it_runs(tmp_path: Path) -> None:
    async with rig({"a": "echo"}, tmp_path) as stage:
        stage.may_start.clear()
        child = stage.pool.want(target("a"))
        stage.clock.now += 100
        stage.may_start.set()
        await until(lambda: child.phase is Phase.RUNNING)
        stage.pool.sweep()
        assert child.phase is Phase.RUNNING


async def test_the_longest_idle_child_makes_room(tmp_path: Path) -> None:
    async with rig({"a": "echo", "b": "echo", "c": "echo"}, tmp_path, max_children=2) as stage:
        first = await running(stage, "a")
        stage.clock.now += 1
        second = await running(stage, "b")
        assert not stage.pool.has_room
        third = await running(stage, "c")
        assert (first.phase in (Phase.STOPPING, Phase.IDLE), second.phase, third.phase) == (
            True, Phase.RUNNING, Phase.RUNNING,
        )  # fmt: skip
        assert stage.reporter.warnings == []


async def test_where_all_are_busy_one_more_is_started_with_a_warning(tmp_path: Path) -> None:
    async with rig({"a": "echo", "b": "echo"}, tmp_path, max_children=1) as stage:
        stage.ready("a")
        reader, _ = await stage.connect(b"1")
        await reader.readexactly(1)
        await running(stage, "b")
        assert stage.child("a").phase is Phase.RUNNING
        assert stage.reporter.warnings == ["all 1 children (--max-children) are busy; starting one more"]


async def test_nobody_is_ended_only_to_spread_connections(tmp_path: Path) -> None:
    async with rig({"a": "pod", "b": "pod"}, tmp_path, max_children=1) as stage:
        assert [await stage.ask("x") for _ in range(3)] == [stage.started[0]] * 3
        assert len(stage.started) == 1
        assert stage.reporter.warnings == []


async def test_children_of_pods_that_are_not_wanted_any_more_end(tmp_path: Path) -> None:
    async with rig({"a": "echo", "b": "echo"}, tmp_path) as stage:
        kept, dropped = await running(stage, "a"), await running(stage, "b")
        stage.pool.keep([target("a")])
        assert stage.pool.get(target("b")) is None
        await until(lambda: dropped.phase is Phase.IDLE)
        assert kept.phase is Phase.RUNNING


async def test_a_child_that_is_still_being_started_can_be_ended(tmp_path: Path) -> None:
    async with rig({"a": "echo"}, tmp_path) as stage:
        stage.may_start.clear()
        child = stage.pool.want(target("a"))
        await until(lambda: stage.started)
        stage.pool.renew()
        await until(lambda: child.phase is Phase.IDLE)
        stage.may_start.set()
        fresh = await running(stage, "a")
        assert fresh is not child
        assert child.pid == 0


async def test_one_that_has_ended_and_is_wanted_again_at_once_starts_again(tmp_path: Path) -> None:
    async with rig({"a": "echo"}, tmp_path) as stage:
        child = await running(stage, "a")
        child.unusable()
        ended = asyncio.create_task(stage.changed.wait())
        await ended
        assert stage.pool.want(target("a")) is child
        assert child.phase is Phase.STARTING
        await until(lambda: child.phase is Phase.RUNNING)
        assert stage.started == ["a", "a"]
        assert not child.lost


async def test_failures_that_follow_each_other_wait_longer_and_an_answer_ends_that(tmp_path: Path) -> None:
    async with rig({"a": "exit"}, tmp_path) as stage:
        child = stage.pool.want(target("a"))
        delays = []
        for times in range(1, 4):
            await until(lambda: child.phase is Phase.BACKOFF)
            assert child.state.failures == times
            delays.append(child.state.retry_at - stage.clock.now)
            stage.how["a"] = "pod" if times == 3 else "exit"
            stage.clock.now = child.state.retry_at
            await until(lambda: child.phase is Phase.IDLE)
            stage.pool.want(target("a"))
        assert delays == sorted(delays)
        assert delays[2] > 2 * delays[0]
        assert await stage.ask("x") == "a"
        assert child.state.failures == 0


async def test_the_end_ends_all_of_them(tmp_path: Path) -> None:
    async with rig({"a": "echo", "b": "echo"}, tmp_path) as stage:
        children = [await running(stage, pod) for pod in "ab"]
        await stage.pool.end()
        assert [child.pid for child in children] == [0, 0]
        assert list(stage.pool.live()) == []


async def test_a_child_that_cannot_be_ended_keeps_no_other_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig({"a": "echo", "b": "echo", "c": "echo"}, tmp_path) as stage:
        children = [await running(stage, pod) for pod in "abc"]
        stuck = children[0].pid
        stage.unstoppable = {stuck}
        await stage.pool.end()
        assert [child.pid for child in children[1:]] == [0, 0]
        assert "child shop/a:8080 could not be ended" in caplog.messages
        stage.unstoppable = set()
        os.killpg(stuck, signal.SIGKILL)
        await until(lambda: ("remove", stuck) in stage.groups.story)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (SpawnError("kubectl cannot be started: Text file busy"), "kubectl cannot be started: Text file busy"),
        (RuntimeError("a defect of ours"), "internal error: a defect of ours"),
    ],
)
async def test_a_child_whose_start_fails_is_tried_again(tmp_path: Path, failure: Exception, reason: str) -> None:
    async with rig({"a": "pod"}, tmp_path) as stage:
        stage.failure = failure
        asking = asyncio.create_task(stage.ask("x"))
        await until(lambda: stage.started and stage.child("a").phase is Phase.BACKOFF)
        assert (stage.child("a").state.reason, stage.child("a").restarts) == (reason, 0)
        stage.failure = None
        stage.clock.now = stage.child("a").state.retry_at
        assert await asking == "a"
