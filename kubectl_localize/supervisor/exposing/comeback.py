"""What a way back has come to: which workloads and Services are as they were, in words for the last line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.errors import LocalizeError


@dataclass(frozen=True)
class Comeback:
    """One workload that was scaled up, or one Service whose selector was put back.

    Args:
        services: `ns/name` of those that lead to its pods.
        workload: which.
        ready: how many of its pods are Ready.
        wanted: how many there are to be.
        awaited: whether that was waited for: we have scaled it up.
    """

    services: tuple[str, ...]
    workload: WorkloadRef
    ready: int
    wanted: int
    awaited: bool = True

    @property
    def is_complete(self) -> bool:
        """Whether all is as it was; pods that have run all the time, or that others have made, are theirs."""
        return self.ready >= self.wanted or not self.awaited

    @property
    def will_serve(self) -> bool:
        """Whether its Services are about to have endpoints."""
        return self.ready > 0 if self.awaited or self.workload.kind == "Service" else self.wanted > 0


def last_words(comebacks: Sequence[Comeback]) -> list[str]:
    """A line for each Service that is back: `shop/web is back, 2 of 2 Ready`."""
    lines = []
    for service in dict.fromkeys(service for comeback in comebacks for service in comeback.services):
        behind = [comeback for comeback in comebacks if service in comeback.services]
        ready, wanted = sum(comeback.ready for comeback in behind), sum(comeback.wanted for comeback in behind)
        if all(comeback.is_complete for comeback in behind):
            lines.append(f"{service} is back, {ready} of {wanted} Ready" if wanted else f"{service} is back")
    return lines


def shortfall(comebacks: Sequence[Comeback]) -> LocalizeError | None:
    """The error that says what is not as it was; None if all is."""
    missing = [comeback for comeback in comebacks if not comeback.is_complete]
    if not missing:
        return None
    services = ", ".join(dict.fromkeys(service for comeback in missing for service in comeback.services))
    first = missing[0]
    behind = "; ".join(f"{comeback.workload}: {comeback.ready} of {comeback.wanted} Ready" for comeback in missing)
    return LocalizeError(
        f"{services} is put back, but not all of its pods are Ready ({behind})",
        f"`kubectl describe -n {first.workload.namespace} {first.workload.by_hand}` says why",
    )
