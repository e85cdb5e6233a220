"""Tasks with an owner: failures are heard of, and the end is an end of all."""

from __future__ import annotations

import asyncio

import pytest

from kubectl_localize.supervisor.tasks import Tasks, give_up


async def fail() -> None:
    raise ValueError("broken")


async def test_a_failure_is_in_the_log_with_the_name_of_the_task(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    await asyncio.wait((tasks.start(fail(), "child web"),))
    assert caplog.messages == ["child web failed"]
    assert "ValueError: broken" in caplog.text
    assert len(tasks) == 0


async def test_the_end_waits_for_all_of_them_and_one_that_fails_at_its_end_skips_none() -> None:
    ended: list[str] = []

    async def work(name: str, *, fails: bool) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)
            if fails:
                raise OSError("it cannot be closed")

    tasks = Tasks()
    for number in range(4):
        tasks.start(work(str(number), fails=number % 2 == 0), f"task {number}")
    await asyncio.sleep(0)
    await tasks.end()
    assert sorted(ended) == ["0", "1", "2", "3"]
    assert len(tasks) == 0


async def test_one_of_them_may_end_the_others() -> None:
    tasks = Tasks()
    other = tasks.start(asyncio.sleep(3600), "other")
    ending = tasks.start(tasks.end(), "ending")
    await ending
    assert other.cancelled()


async def test_what_is_given_up_and_fails_at_its_end_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("it cannot be closed")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await give_up(task, "proving")
    assert caplog.messages == ["given up: proving: it cannot be closed"]
