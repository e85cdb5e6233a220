"""A child's life: every transition as a row, and what holds for any row of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.supervisor.processes.lifecycle import (
    Action,
    Answered,
    ChildState,
    Drained,
    Event,
    Exited,
    Phase,
    Policy,
    Ready,
    Retire,
    RetryDue,
    Wanted,
    transition,
)
from kubectl_localize.timing import Backoff

POLICY = Policy(
    lost=Backoff(first_seconds=1.0, longest_seconds=10.0, jitter=0.5),
    lasting=Backoff(first_seconds=60.0, longest_seconds=60.0, jitter=0.5),
)
NOW = 100.0
FAILURE = Exited("refused")


@pytest.mark.parametrize(
    ("before", "event", "after", "actions"),
    [
        (Phase.IDLE, Wanted(), Phase.STARTING, (Action.SPAWN,)),
        (Phase.STARTING, Wanted(), Phase.STARTING, ()),
        (Phase.BACKOFF, Wanted(), Phase.BACKOFF, ()),
        (Phase.FAILED, Wanted(), Phase.FAILED, ()),
        (Phase.STOPPING, Wanted(), Phase.STOPPING, ()),
        (Phase.STARTING, Ready(), Phase.RUNNING, ()),
        (Phase.STOPPING, Ready(), Phase.STOPPING, ()),
        (Phase.STARTING, FAILURE, Phase.BACKOFF, (Action.WAKE_AT_RETRY,)),
        (Phase.RUNNING, FAILURE, Phase.BACKOFF, (Action.WAKE_AT_RETRY,)),
        (Phase.RUNNING, Exited("forbidden", lasting=True), Phase.FAILED, (Action.WAKE_AT_RETRY,)),
        (Phase.STOPPING, FAILURE, Phase.IDLE, ()),
        (Phase.DRAINING, FAILURE, Phase.IDLE, ()),
        (Phase.IDLE, FAILURE, Phase.IDLE, ()),
        (Phase.BACKOFF, FAILURE, Phase.BACKOFF, ()),
        (Phase.RUNNING, Retire(0), Phase.STOPPING, (Action.TERMINATE,)),
        (Phase.RUNNING, Retire(2), Phase.DRAINING, ()),
        (Phase.STARTING, Retire(0), Phase.STOPPING, (Action.TERMINATE,)),
        (Phase.BACKOFF, Retire(0), Phase.IDLE, ()),
        (Phase.FAILED, Retire(0), Phase.IDLE, ()),
        (Phase.IDLE, Retire(0), Phase.IDLE, ()),
        (Phase.DRAINING, Drained(), Phase.STOPPING, (Action.TERMINATE,)),
        (Phase.RUNNING, Drained(), Phase.RUNNING, ()),
    ],
)
def test_transition(before: Phase, event: Event, after: Phase, actions: tuple[Action, ...]) -> None:
    state, taken = transition(ChildState(before, retry_at=NOW + 1), event, NOW, POLICY)
    assert (state.phase, taken) == (after, actions)


@pytest.mark.parametrize(
    ("failures", "luck", "delay"),
    [
        (0, 0.5, 1.0),
        (1, 0.5, 2.0),
        (2, 0.5, 4.0),
        (3, 0.5, 8.0),
        (4, 0.5, 10.0),
        (5000, 0.5, 10.0),
        (1, 0, 1),
        (1, 1, 3),
    ],
)
def test_delays_double_up_to_a_limit_and_luck_spreads_them(failures: int, luck: float, delay: float) -> None:
    state, _ = transition(ChildState(Phase.RUNNING, failures), Exited("x", luck=luck), NOW, POLICY)
    assert state == ChildState(Phase.BACKOFF, failures + 1, NOW + delay, "x")


def test_a_lasting_refusal_is_tried_again_rarely() -> None:
    state, _ = transition(ChildState(Phase.STARTING), Exited("forbidden", lasting=True), NOW, POLICY)
    assert state == ChildState(Phase.FAILED, 1, NOW + 60.0, "forbidden", lasting=True)


def test_a_lasting_refusal_is_remembered_until_a_start_succeeds() -> None:
    state, _ = transition(ChildState(Phase.STARTING), Exited("forbidden", lasting=True), NOW, POLICY)
    idle, _ = transition(state, RetryDue(), NOW + 60.0)
    starting, _ = transition(idle, Wanted(), NOW + 99.0)
    assert [(state.phase, state.reason, state.lasting) for state in (idle, starting)] == [
        (Phase.IDLE, "forbidden", True),
        (Phase.STARTING, "forbidden", True),
    ]
    running, _ = transition(starting, Ready(), NOW + 99.1)
    assert (running.reason, running.lasting) == ("", False)


@pytest.mark.parametrize(("now", "after"), [(NOW - 0.1, Phase.BACKOFF), (NOW, Phase.IDLE), (NOW + 9, Phase.IDLE)])
def test_a_retry_is_due_when_its_time_has_come(now: float, after: Phase) -> None:
    state, actions = transition(ChildState(Phase.BACKOFF, 3, NOW, "x"), RetryDue(), now)
    assert (state.phase, state.failures, actions) == (after, 3, ())


def test_an_answer_ends_what_failed_before_and_a_start_alone_does_not() -> None:
    ready, _ = transition(ChildState(Phase.STARTING, 3, reason="x"), Ready(), NOW)
    assert ready == ChildState(Phase.RUNNING, 3)
    assert transition(ready, Answered(), NOW)[0].failures == 0


EVENTS = st.one_of(
    st.just(Wanted()),
    st.just(Ready()),
    st.just(Answered()),
    st.builds(Exited, st.just("x"), lasting=st.booleans(), luck=st.floats(0, 1)),
    st.just(RetryDue()),
    st.builds(Retire, st.integers(0, 2)),
    st.just(Drained()),
)
ENDS = (Phase.BACKOFF, Phase.FAILED)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 20)), max_size=40))
def test_whatever_happens(story: list[tuple[Event, float]]) -> None:
    state, now = ChildState(), 0.0
    process = False
    for event, later in story:
        now += later
        before = state
        state, actions = transition(before, event, now, POLICY)
        assert (Action.SPAWN in actions) == (before.phase is Phase.IDLE and event == Wanted())
        assert (Action.WAKE_AT_RETRY in actions) == (state.phase in ENDS and before.phase not in ENDS)
        if Action.SPAWN in actions:
            assert not process, "a second process beside the first one"
            process = True
        if Action.TERMINATE in actions:
            assert process
            assert state.phase is Phase.STOPPING
        if isinstance(event, Exited):
            process = False
        if Action.WAKE_AT_RETRY in actions:
            assert now < state.retry_at <= now + POLICY.lasting.longest_seconds * (1 + POLICY.lasting.jitter)
            assert state.failures == before.failures + 1
        if state.failures < before.failures:
            assert isinstance(event, Answered | Retire | Exited)
        if state.phase is Phase.IDLE and before.phase in ENDS and not isinstance(event, Retire):
            assert now >= before.retry_at
        # a state without a process never waits for one, and one with a process never starts another
        assert (state.phase in (Phase.STARTING, Phase.RUNNING, Phase.DRAINING, Phase.STOPPING)) >= process


def test_a_pod_that_refuses_is_tried_again_within_a_second_or_so() -> None:
    state = ChildState(Phase.RUNNING, failures=40)
    refused, _ = transition(state, Exited("refused", refused=True, luck=1.0), 100.0)
    lost, _ = transition(state, Exited("lost", luck=0.0), 100.0)
    assert refused.retry_at <= 101.2
    assert lost.retry_at >= 104.0
