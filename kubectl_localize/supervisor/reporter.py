"""Tells people what changes on its own while the supervisor runs: the log, and every command that is connected."""

from __future__ import annotations

import logging

from kubectl_localize.model import ServiceKey
from kubectl_localize.protocol import Change, Warn
from kubectl_localize.supervisor.control_server import ControlServer

log = logging.getLogger(__name__)


class Reporter:
    """See the module.

    Args:
        control: knows the connected commands.
    """

    def __init__(self, control: ControlServer) -> None:
        self._control = control

    def change(self, text: str, service: ServiceKey | None = None) -> None:
        """Say what has changed: `shop/web: pod web-abc is gone, now web-def`.

        Args:
            service: the Service that it is about; commands that hold others do not hear of it.
        """
        log.info("%s", text)
        self._control.broadcast(Change(text), service)

    def warn(self, text: str) -> None:
        """Say in a sentence what is missing."""
        log.warning("%s", text)
        self._control.broadcast(Warn(text))
