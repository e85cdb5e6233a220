"""Waiting ends when it should, and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kubectl_localize.errors import LocalizeError
from kubectl_localize.supervisor.exposing.waiter import EndingError, Waiter
from kubectl_localize.timing import Notifier
from tests.unit.supervisor.loop import Clock

SECONDS = 10.0


def late() -> LocalizeError:
    return LocalizeError("it has not come about")


async def _until(patience: Waiter, condition: Callable[[], bool], hopeless: bool = False) -> None:
    await patience.until(condition, SECONDS, hopeless=lambda: hopeless, failure=late)


async def test_it_goes_on_with_the_change_that_it_waits_for() -> None:
    changed, there = Notifier(), asyncio.Event()
    waiting = asyncio.create_task(_until(Waiter(changed, Clock()), there.is_set))
    await asyncio.sleep(0)
    there.set()
    changed.fire()
    await waiting


async def test_it_gives_up_when_the_time_is_up_and_not_before() -> None:
    changed, clock = Notifier(), Clock()
    waiting = asyncio.create_task(_until(Waiter(changed, clock), lambda: False))
    await asyncio.sleep(0)
    clock.now += SECONDS
    changed.fire()
    await asyncio.sleep(0.01)
    assert not waiting.done()
    clock.now += 0.1
    changed.fire()
    with pytest.raises(LocalizeError, match="it has not come about"):
        await waiting


async def test_it_gives_up_at_once_where_there_is_no_hope() -> None:
    with pytest.raises(LocalizeError, match="it has not come about"):
        await _until(Waiter(Notifier(), Clock()), lambda: False, hopeless=True)


async def test_what_has_come_about_counts_even_where_there_is_no_hope() -> None:
    await _until(Waiter(Notifier(), Clock()), lambda: True, hopeless=True)


async def test_nobody_waits_for_what_is_to_end() -> None:
    patience = Waiter(Notifier(), Clock())
    waiting = asyncio.create_task(_until(patience, lambda: False))
    await asyncio.sleep(0)
    patience.end()
    with pytest.raises(EndingError):
        await waiting
    with pytest.raises(EndingError):
        patience.go_on()


async def test_work_that_changes_nothing_is_broken_off() -> None:
    patience = Waiter(Notifier(), Clock())
    broken_off = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            broken_off.set()

    waiting = asyncio.create_task(patience.unless_ending(work()))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    patience.end()
    with pytest.raises(EndingError):
        await waiting
    assert broken_off.is_set()


async def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        raise late()

    with pytest.raises(LocalizeError, match="it has not come about"):
        await Waiter(Notifier(), Clock()).unless_ending(work())
