"""Stands in for the reporter: keeps what was said."""

from __future__ import annotations

from pathlib import Path

from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.control_server import Client, ControlServer
from kubectl_localize.supervisor.reporter import Reporter


class NotingReporter(Reporter):
    """A reporter to nobody; `changes` and `warnings` have what was said, in order."""

    def __init__(self) -> None:
        super().__init__(ControlServer(Path("/nowhere"), self))
        self.changes: list[str] = []
        self.warnings: list[str] = []

    def change(self, text: str, service: ServiceKey | None = None) -> None:
        self.changes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    async def serve(self, client: Client) -> None:
        raise AssertionError("nobody can connect")
