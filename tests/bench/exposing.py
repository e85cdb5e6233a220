"""How long an exposure takes until every answer to a client in the cluster is the local process's."""

from __future__ import annotations

import os
import statistics

from tests.bench.report import Line, at_most
from tests.bench.setting import Setting, say
from tests.real.exposing import Local
from tests.real.exposing_rounds import Case, client_of, prepare, there_and_back, web
from tests.real.manifests import service

NAMESPACE = "bench-expose"
ROUNDS = int(os.environ.get("LOCALIZE_BENCH_ROUNDS", "20"))
MEDIAN_SECONDS, MAXIMUM_SECONDS = 5.0, 6.5


def expose(setting: Setting) -> list[Line]:
    """There and back again, LOCALIZE_BENCH_ROUNDS times, 20 if it is not set."""
    case = Case((web(), service("web")))
    setting.stop()
    setting.make_namespace(NAMESPACE)
    prepare(setting.cluster, NAMESPACE, case)
    settled = []
    with Local(setting.sandbox) as local, client_of(setting.cluster, NAMESPACE, case) as client:
        for number in range(ROUNDS):
            say(f"exposing, {number + 1} of {ROUNDS}")
            settled.append(there_and_back(setting.sandbox, client, local, *case.argv(NAMESPACE, local)).settled)
    name = f"expose: every answer local, {ROUNDS} rounds"
    return [
        at_most(f"{name}, median", statistics.median(settled), 0, MEDIAN_SECONDS, "s", 2),
        at_most(f"{name}, maximum", max(settled), 0, MAXIMUM_SECONDS, "s", 2),
    ]
