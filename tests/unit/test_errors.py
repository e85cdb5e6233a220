"""Errors that are said in other words stay what they are."""

from __future__ import annotations

from kubectl_localize.errors import ForbiddenError, LocalizeError


class KnowingError(LocalizeError):
    """One that takes more than words."""

    def __init__(self, message: str, held: int) -> None:
        super().__init__(message, "a hint")
        self.held = held


def test_other_words_and_the_same_error() -> None:
    reworded = KnowingError("before", 7).reworded("after", "another hint")
    assert (type(reworded), str(reworded), reworded.message, reworded.hint, reworded.held) == (
        KnowingError, "after", "after", "another hint", 7
    )  # fmt: skip
    assert isinstance(ForbiddenError("no").reworded("still no", ""), ForbiddenError)
