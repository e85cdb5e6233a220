"""The proof that a port of the exposure pod leads to this machine: a nonce sent there comes back through us."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import LocalizeError
from kubectl_localize.supervisor.processes.process import SpawnProcess

PROOF_SECONDS = 20.0


async def send_proof(argv: Sequence[str], nonce: bytes, spawn: SpawnProcess) -> None:
    """Send the nonce through a port-forward of its own, and read it back.

    Args:
        argv: the `kubectl port-forward` to the pod's port.

    Raises: LocalizeError where something else comes back, or nothing.
    """
    process = await spawn(argv)
    try:
        async with asyncio.timeout(PROOF_SECONDS):
            while line := await process.stdout.readline():
                port = kubectl.forwarding_port(line.decode(errors="replace"))
                if port is not None:
                    break
            else:
                await process.wait()
                raise kubectl.explain(process.tail, 1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(nonce)
                answer = await reader.readexactly(len(nonce))
            finally:
                writer.close()
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        answer = b""
    finally:
        await process.stop()
    if answer != nonce:
        raise LocalizeError(
            "a test connection through the exposure pod did not arrive here",
            "try again; `kubectl localize logs` says what ssh and kubectl said",
        )
