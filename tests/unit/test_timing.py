"""Something changed, look again."""

from __future__ import annotations

import asyncio

import pytest

from kubectl_localize.timing import Notifier, all_of
from tests.unit.supervisor.loop import until


async def test_everybody_who_waits_is_woken() -> None:
    changed = Notifier()
    waiting = [asyncio.create_task(changed.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    changed.fire()
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert changed.count == 1


async def test_a_change_right_after_next_is_not_missed() -> None:
    changed = Notifier()
    change = changed.next()
    changed.fire()
    assert change.done()


async def test_time_runs_out_and_who_has_gone_is_forgotten() -> None:
    changed = Notifier()
    assert not await changed.wait(0.001)
    waiting = asyncio.create_task(changed.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await until(waiting.done)
    dropped = changed.next()
    dropped.cancel()
    changed.fire()
    assert dropped.cancelled()


async def test_all_of_waits_for_the_others_when_one_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    may_end, ended = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        await may_end.wait()
        ended.set()

    async def failing(text: str) -> None:
        raise OSError(text)

    work = asyncio.create_task(all_of(failing("first"), slow(), failing("second")))
    await asyncio.sleep(0)
    assert not work.done()
    may_end.set()
    with pytest.raises(OSError, match="first"):
        await work
    assert ended.is_set()
    assert "second" in caplog.text
