"""What is held for a local process that has ended goes to a pod of the workload that comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.supervisor.exposing.handover import hand_over
from kubectl_localize.supervisor.exposing.local import LocalPort, LocalProcess
from kubectl_localize.supervisor.processes.port_forward import PortForwarder
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.listener_rig import Rig
from tests.unit.fakes.peers import NamedPeers
from tests.unit.supervisor.loop import Clock, until


async def local_port(refusals: RefusalLog) -> LocalPort:
    """A listener whose local process has ended."""
    port = LocalPort(
        LocalProcess("127.0.0.1", 1),
        admission=Admission(NamedPeers(1000), 1000),
        refusals=refusals,
        buffer=ReadBuffer(),
        clock=Clock(),
    )
    await port.listen(bind_loopback("127.0.0.1", 0))
    return port


async def ask(port: LocalPort) -> bytes:
    """What comes back for a client's line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.local_port)
    writer.write(b"x\n")
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_a_held_connection_goes_to_the_first_pod_that_is_ready_and_nothing_stays_behind(tmp_path: Path) -> None:
    rig, pods, refusals = Rig({"a": "pod", "b": "exit"}, tmp_path / "log"), list[str](), RefusalLog()
    ports = {8080: await local_port(refusals)}
    asking = asyncio.create_task(ask(ports[8080]))
    await until(lambda: ports[8080].refused)
    forwarder = PortForwarder(CONNECTION, rig)
    handing = asyncio.create_task(hand_over(forwarder, rig.changed, "shop", ports, lambda: pods))
    await asyncio.sleep(0)
    assert rig.started == []
    pods.append("a")
    rig.changed.fire()
    assert await asking == b"a"
    handing.cancel()
    await asyncio.wait((handing,))
    assert [name for name, _ in rig.groups.story] == ["add", "remove"]
    await ports[8080].close()
    refusals.close()


async def test_a_port_that_cannot_be_reached_keeps_no_other_from_it(tmp_path: Path) -> None:
    rig, refusals = Rig({"a": "pod"}, tmp_path / "log"), RefusalLog()
    ports = {number: await local_port(refusals) for number in (8080, 8081)}
    rig.failing_ports = {8080}
    handing = asyncio.create_task(hand_over(PortForwarder(CONNECTION, rig), rig.changed, "shop", ports, lambda: ["a"]))
    assert await ask(ports[8081]) == b"a"
    handing.cancel()
    await asyncio.wait((handing,))
    for port in ports.values():
        await port.close()
    refusals.close()
