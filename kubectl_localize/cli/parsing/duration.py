"""Durations as Go and kubectl write them: `5m`, `1h30m`, `500ms`, `0`."""

from __future__ import annotations

import re

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LONGEST_SECONDS = 2**63 / 1e9


def parse_duration(text: str) -> float:
    """A duration in seconds.

    Raises:
        ValueError: it is no duration, negative, or longer than Go's (292 years).
    """
    if text == "0":
        return 0.0
    if not re.fullmatch(rf"(?:{_PART.pattern})+", text, re.ASCII):
        raise ValueError(f"{text!r} is not a duration such as 5m, 30s or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > _LONGEST_SECONDS:
        raise ValueError(f"{text!r} is too long for a duration")
    return seconds
