"""A connected command that remembers what it was told, and answers as a test wants."""

from __future__ import annotations

import asyncio

from kubectl_localize.errors import LocalizeError
from kubectl_localize.protocol import Event, Failed
from kubectl_localize.supervisor.control_server import Client, Question


class RecordedClient(Client):
    """A command without a socket.

    Args:
        granted: its answer to every question.

    Attributes:
        events: what it was told.
        questions: what it was asked.
    """

    def __init__(self, *, granted: bool = True) -> None:
        self._granted = granted
        self.events: list[Event] = []
        self.questions: list[Question] = []
        self.leaving = asyncio.Event()

    async def ask(self, question: Question) -> bool:
        self.questions.append(question)
        return self._granted

    def send(self, event: Event) -> None:
        self.events.append(event)

    def fail(self, error: BaseException) -> None:
        assert isinstance(error, LocalizeError), error
        self.send(Failed(error.message, error.hint))

    def told(self, kind: type[Event]) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]
