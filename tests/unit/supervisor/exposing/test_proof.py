"""The proof that a pod's port leads here, through a port-forward of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_localize.errors import LocalizeError, NotFoundError
from kubectl_localize.supervisor.exposing.takeover import PROOF_ATTEMPTS, send_proof, send_proofs
from kubectl_localize.supervisor.processes.port_forward import PortForwarder, Target
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.listener_rig import Rig

NONCE = b"0123456789abcdefghijklmn"


async def prove(how: str, tmp_path: Path) -> Rig:
    """Send the nonce to a pod that does as it is told (`stand_in`), which is ended afterwards."""
    rig = Rig({"a": how}, tmp_path / "log")
    try:
        await send_proof(PortForwarder(CONNECTION, rig), Target("shop", "a", 8080), NONCE)
    finally:
        assert [name for name, _ in rig.groups.story] == ["add", "remove"], "its kubectl is still there"
    return rig


async def test_a_nonce_that_comes_back_is_the_proof(tmp_path: Path) -> None:
    rig = await prove("echo", tmp_path)
    assert rig.started == ["a"]


@pytest.mark.parametrize("how", ["refuse", "greet"])
async def test_nothing_or_something_else_is_none(how: str, tmp_path: Path) -> None:
    with pytest.raises(LocalizeError, match="did not arrive here"):
        await prove(how, tmp_path)


async def test_one_that_fails_is_tried_again_a_few_times(tmp_path: Path) -> None:
    rig = Rig({"a": "refuse"}, tmp_path / "log")
    with pytest.raises(LocalizeError, match="did not arrive here"):
        await send_proofs(PortForwarder(CONNECTION, rig), Target("shop", "a", 8080), NONCE)
    assert rig.started == ["a"] * PROOF_ATTEMPTS


async def test_a_pod_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not found"):
        await prove("exit", tmp_path)
