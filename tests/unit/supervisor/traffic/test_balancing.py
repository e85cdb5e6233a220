"""Which pod a new connection goes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.model import Endpoint
from kubectl_localize.supervisor.processes.lifecycle import Phase
from kubectl_localize.supervisor.traffic.balancing import PODS_IN_USE_AT_MOST, Affinity, Candidate, Choice, choose

A, B, C = (Endpoint(name, 80) for name in "abc")


@pytest.mark.parametrize(
    ("candidates", "turn", "spread", "expected"),
    [
        ([], 0, True, Choice()),
        ([Candidate(A, Phase.IDLE)], 0, True, Choice(start=A)),
        ([Candidate(A, Phase.IDLE)], 0, False, Choice(start=A)),
        ([Candidate(A, Phase.IDLE), Candidate(B, Phase.IDLE)], 1, True, Choice(start=B)),
        ([Candidate(A, Phase.STARTING), Candidate(B, Phase.IDLE)], 1, True, Choice()),
        ([Candidate(A, Phase.BACKOFF), Candidate(B, Phase.IDLE)], 0, True, Choice(start=B)),
        ([Candidate(A, Phase.FAILED)], 0, True, Choice()),
        ([Candidate(A, Phase.STOPPING), Candidate(B, Phase.DRAINING)], 0, True, Choice()),
        ([Candidate(A, Phase.RUNNING), Candidate(B, Phase.IDLE)], 0, True, Choice(use=A, start=B)),
        ([Candidate(A, Phase.RUNNING), Candidate(B, Phase.IDLE)], 0, False, Choice(use=A)),
        ([Candidate(A, Phase.RUNNING, 3), Candidate(B, Phase.RUNNING, 2)], 0, True, Choice(use=B)),
        ([Candidate(A, Phase.RUNNING), Candidate(B, Phase.RUNNING)], 0, True, Choice(use=A)),
        ([Candidate(A, Phase.RUNNING), Candidate(B, Phase.RUNNING)], 1, True, Choice(use=B)),
        ([Candidate(A, Phase.RUNNING, refused=True), Candidate(B, Phase.IDLE)], 0, False, Choice(start=B)),
        ([Candidate(A, Phase.IDLE, refused=True)], 0, True, Choice()),
    ],
)
def test_choose(candidates: list[Candidate], turn: int, spread: bool, expected: Choice) -> None:
    assert choose(candidates, turn, spread=spread) == expected


CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.integers(0, 30).map(lambda number: Endpoint(f"pod-{number}", 80)),
        st.sampled_from(Phase),
        st.integers(0, 5),
        st.booleans(),
    ),
    max_size=12,
    unique_by=lambda candidate: candidate.endpoint,
)


@given(CANDIDATES, st.integers(0, 100), st.booleans())
def test_whatever_there_is(candidates: list[Candidate], turn: int, spread: bool) -> None:
    choice = choose(candidates, turn, spread=spread)
    by_endpoint = {candidate.endpoint: candidate for candidate in candidates if not candidate.refused}
    running = [candidate for candidate in by_endpoint.values() if candidate.phase is Phase.RUNNING]
    starting = [candidate for candidate in by_endpoint.values() if candidate.phase is Phase.STARTING]
    assert (choice.use is not None) == bool(running)
    if choice.use is not None:
        assert by_endpoint[choice.use].phase is Phase.RUNNING
        assert by_endpoint[choice.use].connections == min(candidate.connections for candidate in running)
    if choice.start is not None:
        assert by_endpoint[choice.start].phase is Phase.IDLE
        assert len(running) + len(starting) < PODS_IN_USE_AT_MOST
        assert spread or not running
    idle = any(candidate.phase is Phase.IDLE for candidate in by_endpoint.values())
    if idle and not running and not starting:
        assert choice.start is not None, "it would wait for nothing"


def test_turns_go_round_all_running_pods() -> None:
    running = [Candidate(endpoint, Phase.RUNNING) for endpoint in (A, B, C)]
    assert [choose(running, turn, spread=True).use for turn in range(4)] == [A, B, C, A]


def test_a_start_that_takes_too_long_does_not_keep_another_pod_from_being_tried() -> None:
    candidates = [Candidate(A, Phase.STARTING), Candidate(B, Phase.IDLE)]
    assert choose(candidates, 0, spread=False, impatient=True) == Choice(start=B)
    many = [Candidate(Endpoint(f"pod-{number}", 80), Phase.STARTING) for number in range(PODS_IN_USE_AT_MOST)]
    assert choose([*many, candidates[1]], 0, spread=False, impatient=True) == Choice()


KEEPS_A = Affinity(60, "a", until=100.0)
IDLE_A, IDLE_B = Candidate(A, Phase.IDLE), Candidate(B, Phase.IDLE)


@pytest.mark.parametrize(
    ("affinity", "candidates", "now", "expected"),
    [
        (KEEPS_A, [IDLE_A, IDLE_B], 99.0, "a"),
        (KEEPS_A, [IDLE_A, IDLE_B], 100.0, "ab"),
        (KEEPS_A, [IDLE_B], 99.0, "b"),
        (KEEPS_A, [], 99.0, ""),
        (KEEPS_A, [Candidate(A, Phase.RUNNING, refused=True), IDLE_B], 99.0, "ab"),
        (KEEPS_A, [Candidate(A, Phase.FAILED), IDLE_B], 99.0, "ab"),
        (KEEPS_A, [Candidate(A, Phase.BACKOFF), IDLE_B], 99.0, "ab"),
        (KEEPS_A, [Candidate(A, Phase.STARTING), IDLE_B], 99.0, "a"),
        (Affinity(0, "a", until=100.0), [IDLE_A, IDLE_B], 99.0, "ab"),
        (Affinity(60), [IDLE_A, IDLE_B], 0.0, "ab"),
    ],
)
def test_a_client_keeps_its_pod(affinity: Affinity, candidates: list[Candidate], now: float, expected: str) -> None:
    assert "".join(candidate.endpoint.pod for candidate in affinity.kept(candidates, now)) == expected


def test_every_new_connection_prolongs_it() -> None:
    affinity = Affinity(60).used("a", 10.0)
    assert affinity == Affinity(60, "a", 70.0)
    assert affinity.used("b", 20.0) == Affinity(60, "b", 80.0)
    assert Affinity().used("a", 10.0) == Affinity()
