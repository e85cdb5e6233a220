"""Stands in for the guard: notes which process groups it was told of."""

from __future__ import annotations


class Groups:
    """A guard that ends nobody.

    `story` has each call, in order: `("add", pgid)` or `("remove", pgid)`.
    """

    def __init__(self) -> None:
        self.story: list[tuple[str, int]] = []

    def add(self, pgid: int) -> None:
        self.story.append(("add", pgid))

    def remove(self, pgid: int) -> None:
        self.story.append(("remove", pgid))
