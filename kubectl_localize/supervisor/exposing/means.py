"""What all exposures of a supervisor share: how they reach the cluster and this machine, and who they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.watch import Requests
from kubectl_localize.model import Connection
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.probe import ApiServerProbe
from kubectl_localize.supervisor.processes.port_forward import PortForwarder
from kubectl_localize.supervisor.processes.process import ProcessSpawner
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog
from kubectl_localize.timing import Clock, Notifier


@dataclass(frozen=True)
class Means:
    """See the module.

    Args:
        kubectl_spawner, ssh_spawner: start processes of ours.
        forwarder: starts port-forwards.
        clock: seconds, monotonic, and a pause.
        now: the wall clock, in UTC.
        admission: decides whose connections are served: only our own ssh's.
        refusals: hears of connections that are given up.
        listens: whether something listens on a host and port of this machine; None where that cannot be known.
        advice: what to do about a session that holds what we want, in one sentence.
        directory: where this supervisor's files are (0700).
    """

    connection: Connection
    api: Api
    transport: Requests
    kubectl_spawner: ProcessSpawner
    ssh_spawner: ProcessSpawner
    forwarder: PortForwarder
    link: ApiServerProbe
    changed: Notifier
    clock: Clock
    now: Callable[[], datetime]
    buffer: ReadBuffer
    admission: Admission
    refusals: RefusalLog
    listens: Callable[[str, int], bool | None]
    advice: Callable[[Sequence[Entry]], str]
    directory: Path
    record: SessionLedger

    @property
    def reachable(self) -> Callable[[], Awaitable[None]]:
        """Returns once the API server can be reached."""
        return self.link.wait_up
