"""Something changed, look again."""

from __future__ import annotations

import asyncio

from kubectl_localize.timing import Notifier
from tests.unit.supervisor.loop import play, until


def test_everybody_who_waits_is_woken() -> None:
    async def run() -> None:
        changed = Notifier()
        waiting = [asyncio.create_task(changed.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        changed.fire()
        assert await asyncio.gather(*waiting) == [True, True, True]
        assert changed.count == 1

    play(run())


def test_a_change_right_after_next_is_not_missed() -> None:
    async def run() -> None:
        changed = Notifier()
        change = changed.next()
        changed.fire()
        assert change.done()

    play(run())


def test_time_runs_out_and_who_has_gone_is_forgotten() -> None:
    async def run() -> None:
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

    play(run())
