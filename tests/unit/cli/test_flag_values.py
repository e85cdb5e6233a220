"""What the values of flags may be."""

from __future__ import annotations

import pytest

from kubectl_localize.cli.flag_values import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("0s", 0), ("5m", 300), ("30s", 30), ("1h30m", 5400), ("500ms", 0.5), ("1.5h", 5400), (".5s", 0.5),
        ("1m1ms", 60.001), ("250us", 0.00025), ("250µs", 0.00025), ("8ns", 8e-9),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "-5m", "m", "5 m", "5m ", "5d", "1h-1m", "٥m", "inf", "1" * 30 + "h", "5M", "."]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
