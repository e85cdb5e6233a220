"""A progress that remembers what it was told, and answers questions as a test wants."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_localize import protocol
from kubectl_localize.protocol import Event
from kubectl_localize.supervisor.exposing.progress import Progress


class RecordedProgress(Progress):
    """Remembers.

    Args:
        yes: the user's answer to every question.

    Attributes:
        events: all that was told.
        questions: the texts of the questions.
        variables: what the command was started with; None if it was not.
    """

    def __init__(self, *, yes: bool = False) -> None:
        self._yes = yes
        self.events: list[Event] = []
        self.questions: list[str] = []
        self.variables: Sequence[tuple[str, str]] | None = None

    async def confirm(self, text: str) -> bool:
        self.questions.append(text)
        return self._yes

    async def start_command(self, variables: Sequence[tuple[str, str]]) -> int:
        self.variables = variables
        return 0

    def send(self, event: Event) -> None:
        self.events.append(event)

    @property
    def steps(self) -> list[str]:
        """What was done, in words."""
        return [event.text for event in self.events if isinstance(event, protocol.Step)]

    @property
    def missed_waits(self) -> list[str]:
        """What did not come about, in words."""
        return [event.text for event in self.events if isinstance(event, protocol.Missed)]

    @property
    def last_words(self) -> list[str]:
        """What is back, in words."""
        return [event.text for event in self.events if isinstance(event, protocol.Back)]

    @property
    def waits(self) -> list[str]:
        """What was waited for, in words."""
        return [event.text for event in self.events if isinstance(event, protocol.Progress)]

    @property
    def failures(self) -> list[protocol.Failed]:
        """What failed."""
        return [event for event in self.events if isinstance(event, protocol.Failed)]

    @property
    def plan(self) -> list[str]:
        """What would be done, with `--dry-run`."""
        return [line for event in self.events if isinstance(event, protocol.PlanReady) for line in event.lines]
