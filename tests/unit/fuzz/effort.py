"""How hard the fuzz tests try: few examples, the same each time, unless `make fuzz` asks for more."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

VARIABLE = "LOCALIZE_TEST_EXAMPLES"


def effort(examples: int, steps: int = 30) -> settings:
    """The settings of a fuzz test.

    Args:
        examples: how many of them a run of the unit tests has; the environment variable's number is how many times as
            many `make fuzz` has, and those are others each time.
        steps: the events of one example of a state machine, at most.
    """
    factor = int(os.environ.get(VARIABLE, "1"))
    return settings(
        max_examples=examples * factor,
        stateful_step_count=steps,
        derandomize=factor == 1,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
