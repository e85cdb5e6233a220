"""Passes held connections on to a new pod while the workload comes back and the local process has already ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from kubectl_localize.errors import KubectlError
from kubectl_localize.supervisor.exposing.local import LocalPort, LocalProcess
from kubectl_localize.supervisor.processes.port_forward import PortForward, PortForwarder, Target
from kubectl_localize.timing import Notifier

log = logging.getLogger(__name__)


async def hand_over(
    forwarder: PortForwarder,
    changed: Notifier,
    namespace: str,
    local: Mapping[int, LocalPort],
    others: Callable[[], Sequence[str]],
) -> None:
    """Connect every carried port to the first Ready pod of the workload, until cancelled.

    Args:
        forwarder: starts the port-forwards.
        changed: fires when there may be another pod.
        namespace: the workload's.
        local: our listeners, by the number of the pods' port.
        others: returns the names of the workload's pods that are Ready by now.
    """
    while not others():
        await changed.wait()
    pod = others()[0]
    async with AsyncExitStack() as stack:
        forwards: list[PortForward] = []
        for number, port in local.items():
            try:
                forward = await stack.enter_async_context(await forwarder.start(Target(namespace, pod, number)))
                port.lead_to(LocalProcess(forward.host, await forward.await_port()))
            except KubectlError as error:  # what is held for this port waits on
                log.warning("port %d of pod %s cannot be reached: %s", number, pod, error)
                continue
            forwards.append(forward)
        log.info("what is held goes to pod %s", pod)
        await asyncio.gather(*(forward.ended() for forward in forwards))
