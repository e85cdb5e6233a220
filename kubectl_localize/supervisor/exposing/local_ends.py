"""An exposure's ends on this machine: our listener for each carried port, and the one for the readiness probes."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.supervisor.exposing.local import LocalPort, LocalProcess
from kubectl_localize.supervisor.exposing.means import Means
from kubectl_localize.supervisor.exposing.readiness import ReadinessServer


class LocalEnds:
    """Where `ssh -R` leads to, and whether the user's processes behind it are there.

    Args:
        carried: the ports; `ports` has our listener for each, by its number in the pods, and `heartbeat` answers the
            probes.
    """

    def __init__(self, carried: Sequence[CarriedPort], means: Means) -> None:
        self._carried = tuple(carried)
        self._means = means
        self.heartbeat = ReadinessServer()
        self.ports = {
            port.number: LocalPort(
                LocalProcess(port.host, port.local_port), means.buffer, admits=means.admits, clock=means.clock.now
            )
            for port in carried
        }

    async def listen(self) -> None:
        """Listen on loopback ports of the kernel's choice. Raises: OSError."""
        for port in self.ports.values():
            await port.listen()
        await self.heartbeat.listen()

    async def close(self) -> None:
        """Stop listening and reset what is open."""
        for port in self.ports.values():
            await port.close()
        self.heartbeat.close()

    def hold(self, seconds: float) -> None:
        """From now on hold connections so long while nothing listens."""
        for port in self.ports.values():
            port.hold_seconds = seconds

    def nothing_listens(self) -> str:
        """`nothing listens on HOST:PORT` for the first port that was asked for where that is so; empty where all do."""
        silent = self.silent()
        return f"nothing listens on {silent}" if silent else ""

    def silent(self) -> str:
        """The first HOST:PORT that was asked for and where nothing listens; empty where something does on all.

        Where the system does not tell, what the last connection met counts.
        """
        for port in self._carried:
            found = self._means.listens(port.host, port.local_port)
            if port.asked and (found is False or (found is None and self.ports[port.number].refused)):
                return port.local
        return ""
