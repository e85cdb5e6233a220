"""The proof that a port of the exposure pod leads to this machine: a nonce sent there comes back through us."""

from __future__ import annotations

import asyncio

from kubectl_localize.errors import LocalizeError
from kubectl_localize.supervisor.processes.port_forward import PortForward, PortForwarder, Target

PROOF_SECONDS = 20.0


async def send_proof(forwarder: PortForwarder, target: Target, nonce: bytes) -> None:
    """Send a nonce through a port-forward of its own, and read it back.

    Args:
        target: the exposure pod's port.

    Raises:
        KubectlError: the port-forward does not come about.
        LocalizeError: something else comes back, or nothing within 20 s.
    """
    answer = b""
    async with await forwarder.start(target) as forward:
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await forward.await_port()
                answer = await _echo(forward, nonce)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass
    if answer != nonce:
        raise LocalizeError(
            "a test connection through the exposure pod did not arrive here",
            "try again; `kubectl localize logs` says what ssh and kubectl said",
        )


async def _echo(forward: PortForward, nonce: bytes) -> bytes:
    """Connect to the port-forward, send the nonce, and return as many bytes as came back for it."""
    reader, writer = await asyncio.open_connection(forward.host, forward.port)
    try:
        writer.write(nonce)
        return await reader.readexactly(len(nonce))
    finally:
        writer.close()
