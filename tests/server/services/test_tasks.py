"""Background work: kept, watched, awaited."""

import asyncio

import pytest

from server.services.tasks import Tasks

WITHIN_S = 20


async def test_work_that_was_started_is_done():
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    tasks = Tasks()
    tasks.spawn(work(), "work")
    await tasks.finish(WITHIN_S)
    assert done.is_set()


async def test_work_carries_its_name():
    names: list[str] = []

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())

    tasks = Tasks()
    tasks.spawn(work(), "telemetry-writer")
    await tasks.finish(WITHIN_S)
    assert names == ["telemetry-writer"]


@pytest.mark.expects_log("task_failed")
async def test_work_that_fails_is_logged_and_the_other_work_goes_on(
    caplog: pytest.LogCaptureFixture,
):
    failed = asyncio.Event()
    other_is_done = asyncio.Event()

    async def fail() -> None:
        failed.set()
        raise ValueError("out of paper")

    async def other() -> None:
        await failed.wait()
        other_is_done.set()

    tasks = Tasks()
    tasks.spawn(fail(), "printer")
    tasks.spawn(other(), "other")
    await tasks.finish(WITHIN_S)
    assert other_is_done.is_set()
    assert "task_failed" in caplog.text
    assert "printer" in caplog.text


async def test_finishing_without_work_returns():
    await Tasks().finish(WITHIN_S)


async def test_finishing_cancels_what_does_not_end_in_time():
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("forever")

    tasks = Tasks()
    tasks.spawn(forever(), "forever")
    await tasks.finish(0.01)
    assert ended == ["forever"]


async def test_cancelling_waits_until_all_work_has_cleaned_up():
    begun = asyncio.Event()
    steps: list[str] = []

    async def slow_to_end() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    tasks = Tasks()
    tasks.spawn(slow_to_end(), "slow")
    await begun.wait()
    await tasks.cancel()
    assert steps == ["cleaned up"]


async def test_work_that_was_cancelled_is_no_failure(caplog: pytest.LogCaptureFixture):
    tasks = Tasks()
    tasks.spawn(asyncio.Event().wait(), "forever")  # type: ignore[arg-type]  # it returns, to nobody
    await tasks.cancel()
    assert "task_failed" not in caplog.text


async def test_work_that_has_ended_is_not_waited_for_again():
    async def work() -> None:
        return

    tasks = Tasks()
    tasks.spawn(work(), "work")
    await tasks.finish(WITHIN_S)
    await tasks.finish(WITHIN_S)
    await tasks.cancel()
    assert [task.get_name() for task in asyncio.all_tasks()].count("work") == 0
