"""The connection that kubectl makes in a pod, which has a ServiceAccount's credentials and no kubeconfig.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ describes the variables and files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from kubectl_localize.cli.kubectl_program import KubectlProgram
from kubectl_localize.model import Connection

CONTEXT = "in-cluster"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def in_cluster_connection(
    program: KubectlProgram, environ: Mapping[str, str], directory: Path = SERVICE_ACCOUNT
) -> Connection | None:
    """The connection that kubectl makes in a pod; None if this is none.

    Args:
        directory: where a pod's credentials are.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port or not _text(directory / "token"):
        return None
    authority = _text(directory / "ca.crt")
    return Connection(
        kubectl=program.path,
        kubectl_words=program.words,
        kubeconfig=(),
        context=CONTEXT,
        namespace=_text(directory / "namespace") or "default",
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        identity=f"ca:{hashlib.sha256(authority.encode()).hexdigest()}" if authority else f"host:{host}",
        in_cluster=True,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
