"""From a request to exposures that may begin: the checks, who is in the way, and a rehearsal without any change."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_localize.cluster.exposing.claims import ExposedAlreadyError
from kubectl_localize.cluster.exposing.environment_policy import EnvironmentChoice
from kubectl_localize.cluster.exposing.journal import Owner
from kubectl_localize.protocol import ExposeRequest
from kubectl_localize.supervisor.exposing.checks import Checks, Findings
from kubectl_localize.supervisor.exposing.colleagues import Colleagues
from kubectl_localize.supervisor.exposing.exposure import Exposure
from kubectl_localize.supervisor.exposing.plan import describe
from kubectl_localize.supervisor.exposing.progress import Progress
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.sessions import Judge
from kubectl_localize.supervisor.runtime import Runtime


class Preparation:
    """See the module.

    Args:
        ledger: this machine's own record of what it has begun.
        judge: tells our own sessions from others.
        progress: hears of what was found, and of each exposure's steps.
    """

    def __init__(self, runtime: Runtime, ledger: SessionLedger, judge: Judge, progress: Progress) -> None:
        self._runtime = runtime
        self._ledger = ledger
        self._judge = judge
        self._progress = progress

    async def check(self, request: ExposeRequest) -> Findings | list[str]:
        """Check everything; with `take_over`, undo what silent colleagues hold, and check anew.

        Returns:
            What was found; with `dry_run`, what would be undone first, if there is anything.

        Raises:
            LocalizeError: something speaks against it.
        """
        colleagues = Colleagues(self._runtime.api, self._judge, self._runtime.clock)
        while True:
            try:
                findings = await Checks(self._runtime, request, self._judge).run()
                break
            except ExposedAlreadyError as error:
                if not request.take_over:
                    raise
                if request.dry_run:
                    return await colleagues.judge(error)
                await colleagues.take_over(error, self._progress)
        for warning in findings.warnings:
            self._progress.warn(warning)
        for port in findings.not_carried:
            self._progress.warn(f"not carried: {port}")
        return findings

    def exposures(self, request: ExposeRequest, findings: Findings) -> list[Exposure]:
        """The exposures of which nothing has begun yet, one for each plan."""
        choice = EnvironmentChoice(request.environment, request.environment_excluded)
        process = self._judge.here
        owner = Owner(
            findings.user, process.login, process.machine, process.uid, process.pid, process.started,
            process.pid_namespace,
        )  # fmt: skip
        return [
            Exposure(
                plan,
                self._runtime,
                owner,
                ledger=self._ledger,
                judge=self._judge,
                progress=self._progress,
                command=choice if request.command else None,
            )
            for plan in findings.plans
        ]

    async def rehearse(self, exposures: Sequence[Exposure], findings: Findings) -> tuple[str, ...]:
        """Prepare exposures, and discard them. Returns what would be done, a line each.

        Raises:
            LocalizeError: this machine or the API server refuses something.
        """
        for exposure in exposures:
            try:
                await exposure.prepare()
            finally:
                await exposure.discard()
        programs = (f"send the traffic to {', '.join(findings.programs)}",) if findings.programs else ()
        return (*(line for plan in findings.plans for line in describe(plan)), *programs)
