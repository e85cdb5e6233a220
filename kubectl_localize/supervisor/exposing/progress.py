"""Reports an exposure's steps: to the command that asked for it, to all commands, or to the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from kubectl_localize import protocol
from kubectl_localize.errors import LocalizeError
from kubectl_localize.protocol import Event
from kubectl_localize.supervisor.control_server import Client, ControlServer
from kubectl_localize.text import one_line

log = logging.getLogger(__name__)


class Progress:
    """Writes to the log only; the subclasses also tell commands.

    Every text is made one printable line first: parts of it come from Leases, labels and pods, which others write.
    """

    def step(self, text: str) -> None:
        """Tell what has been done."""
        log.info("%s", one_line(text))
        self.send(protocol.Step(one_line(text)))

    def missed(self, text: str) -> None:
        """Tell what was waited for and has not come about, or what has failed."""
        log.warning("%s", one_line(text))
        self.send(protocol.Missed(one_line(text)))

    def back(self, text: str) -> None:
        """Tell what is as it was before; the last that is told of an exposure."""
        log.info("%s", one_line(text))
        self.send(protocol.Back(one_line(text)))

    def doing(self, text: str) -> None:
        """Tell what is waited for from now on; the log has what comes of it."""
        self.send(protocol.Progress(one_line(text)))

    def warn(self, text: str) -> None:
        """Tell what is missing but does not stop the rest."""
        log.warning("%s", one_line(text))
        self.send(protocol.Warn(one_line(text)))

    def fail(self, error: LocalizeError) -> None:
        """Tell that a part of the request has failed."""
        log.warning("%s", one_line(f"{error.message}; {error.hint}"))
        self.send(protocol.Failed(one_line(error.message), one_line(error.hint)))

    async def confirm(self, text: str) -> bool:
        """Ask the user a question.

        Returns:
            Whether they said yes; False if there is nobody to ask.

        Raises:
            LocalizeError: the command is gone.
        """
        return False

    async def start_command(self, variables: Sequence[tuple[str, str]]) -> int:
        """Ask the command line to start the local process with these variables.

        Returns:
            Its process group.

        Raises:
            LocalizeError: the command is gone, or could not start it.
        """
        return 0

    def send(self, event: Event) -> None:
        """Send an event to whom this object tells."""


class CommandProgress(Progress):
    """Tells one command, and asks its user."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def confirm(self, text: str) -> bool:
        return await self._client.ask(protocol.ConfirmationNeeded(0, one_line(text)))

    async def start_command(self, variables: Sequence[tuple[str, str]]) -> int:
        if not await self._client.ask(protocol.CommandWanted(0, tuple(variables))):
            raise LocalizeError("the command was not started")
        return self._client.process_group

    def send(self, event: Event) -> None:
        self._client.send(event)


class SharedProgress(Progress):
    """Tells all connected commands, as nothing of it is done for one of them alone."""

    def __init__(self, control: ControlServer) -> None:
        self._control = control

    def send(self, event: Event) -> None:
        self._control.broadcast(event)


class BackgroundProgress(SharedProgress):
    """Tells all connected commands what the supervisor does by itself: steps are sent as changes, waits not at all."""

    def send(self, event: Event) -> None:
        match event:
            case protocol.Step(text) | protocol.Back(text):
                super().send(protocol.Change(text))
            case protocol.Missed(text):
                super().send(protocol.Warn(text))
            case protocol.Failed(message, hint):
                super().send(protocol.Warn(f"{message}; {hint}" if hint else message))
            case protocol.Progress():
                pass
            case _:
                super().send(event)
