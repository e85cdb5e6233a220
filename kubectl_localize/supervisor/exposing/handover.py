"""While a workload comes back and the local process is gone: what is held here goes on to one of its new pods."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from kubectl_localize.cluster import kubectl
from kubectl_localize.supervisor.exposing.local import LocalPort, LocalProcess
from kubectl_localize.supervisor.exposing.means import Means
from kubectl_localize.supervisor.processes.process import Process

log = logging.getLogger(__name__)


async def hand_over(
    means: Means, namespace: str, local: Mapping[int, LocalPort], others: Callable[[], Sequence[str]]
) -> None:
    """Lead every carried port to the first other pod that is Ready, until cancelled.

    Args:
        local: our listeners by the number of the pods' port.
        others: the Ready pods of the workload, as far as they are there already.
    """
    while not others():
        await means.changed.wait()
    pod = others()[0]
    processes: list[Process] = []
    try:
        for number, port in local.items():
            process = await means.spawn_kubectl(kubectl.port_forward(means.connection, namespace, pod, number))
            processes.append(process)
            while line := await process.stdout.readline():
                forwarded = kubectl.forwarding_port(line.decode(errors="replace"))
                if forwarded is not None:
                    port.lead_to(LocalProcess("127.0.0.1", forwarded))
                    break
        log.info("what is held goes to pod %s", pod)
        await asyncio.gather(*(_drain(process) for process in processes))
    finally:
        await asyncio.gather(*(process.stop() for process in processes))


async def _drain(process: Process) -> None:
    while await process.stdout.readline():
        pass
