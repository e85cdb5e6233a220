"""A cluster of Services without pods' traffic, behind a program that stands in for kubectl."""

from __future__ import annotations

import json
import shlex
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubectl_localize.model import Connection
from tests.unit.cluster.samples import CONNECTION

PROGRAM = Path(__file__).with_name("api_kubectl.py")


class ApiServer:
    """Two lists in files, which `kubectl` serves; `connection` leads to them.

    Args:
        directory: where the files are.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        for plural in ("services", "endpointslices"):
            (directory / f"{plural}.json").write_text("[]")
            (directory / f"{plural}.events").touch()
        program = directory / "kubectl"
        words = [sys.executable, "-I", "-S", str(PROGRAM), str(directory)]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        program.chmod(0o755)
        self._listening = socket.create_server(("127.0.0.1", 0))  # for the probe, which only connects
        self.port: int = self._listening.getsockname()[1]  # nobody else's while it lives, on any loopback address
        url = f"https://127.0.0.1:{self.port}"
        self.connection: Connection = replace(CONNECTION, kubectl=str(program), kubeconfig=(), server=url)

    def has(self, *services: dict[str, Any]) -> None:
        """Make these the Services that are listed."""
        (self.directory / "services.json").write_text(json.dumps(services))

    def add(self, service: dict[str, Any]) -> None:
        """Make a Service while the cluster is being followed."""
        with (self.directory / "services.events").open("a") as events:
            events.write(json.dumps({"type": "ADDED", "object": service}) + "\n")

    def close(self) -> None:
        """Be gone."""
        self._listening.close()


def service(name: str, port: int, namespace: str = "shop") -> dict[str, Any]:
    """A Service object with a selector and one port."""
    return {
        "metadata": {"namespace": namespace, "name": name, "resourceVersion": "2"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.0.0.1",
            "selector": {"app": name},
            "ports": [{"name": "http", "port": port, "targetPort": 8080, "protocol": "TCP"}],
        },
    }
