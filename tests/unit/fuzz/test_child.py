"""A child and its process, by random events on a clock of the test's own."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

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
from tests.unit.fuzz.effort import effort

LIVE = (Phase.STARTING, Phase.RUNNING, Phase.DRAINING, Phase.STOPPING)
WAITING = (Phase.BACKOFF, Phase.FAILED)
LUCK = st.floats(0, 1)


class ChildMachine(RuleBasedStateMachine):
    """What the pool does with a child: it carries actions out and reports what comes of them, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0
        self._state = ChildState()
        self._processes = 0
        self._told_to_end = False
        self._wakes = 0

    def _take(self, event: Event) -> None:
        before = self._state
        self._state, actions = transition(before, event, self._now)
        for action in actions:
            if action is Action.SPAWN:
                self._processes += 1
                self._told_to_end = False
            elif action is Action.TERMINATE:
                self._told_to_end = True
            else:
                self._wakes += 1

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self._now += seconds

    @rule(event=st.sampled_from([Wanted(), Ready(), Answered(), Drained(), RetryDue(), Retire(0), Retire(2)]))
    def something_happens(self, event: Event) -> None:
        self._take(event)

    @precondition(lambda self: self._processes)
    @rule(lasting=st.booleans(), refused=st.booleans(), luck=LUCK)
    def process_ends(self, lasting: bool, refused: bool, luck: float) -> None:
        self._processes -= 1
        self._take(Exited("lost connection to pod", lasting, refused, luck))

    @precondition(lambda self: self._state.phase in WAITING)
    @rule()
    def the_time_comes(self) -> None:
        """The wake that was asked for is enough to try again."""
        self._now = max(self._now, self._state.retry_at)
        self._take(RetryDue())
        self._take(Wanted())
        assert self._state.phase is Phase.STARTING

    @invariant()
    def one_process_exactly_while_it_lives(self) -> None:
        assert self._processes == (self._state.phase in LIVE)

    @invariant()
    def it_is_told_to_end_exactly_while_stopping(self) -> None:
        assert not self._processes or self._told_to_end == (self._state.phase is Phase.STOPPING)

    @invariant()
    def it_never_waits_for_long(self) -> None:
        if self._state.phase in WAITING:
            lasting = Policy().lasting
            assert self._wakes
            assert self._state.retry_at - self._now <= lasting.longest_seconds * (1 + lasting.jitter)
            assert self._state.reason
            assert self._state.failures


def test_a_child_by_random_events() -> None:
    run_state_machine_as_test(ChildMachine, settings=effort(100, 40))
