"""What the values of flags may be, and what they mean: durations, names, globs, maps; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kubectl_localize.cli.flags import Flag
from kubectl_localize.cli.object_names import service_name, service_pattern
from kubectl_localize.errors import UsageError

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LONGEST_SECONDS = 2**63 / 1e9
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME = re.compile(_LABEL)
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def read_value(flag: Flag, text: str) -> Any:
    """What was typed as a flag's value, as the value itself.

    Returns:
        Seconds for a duration, a number for a count, a `PortMap` for a map, pairs of texts for amounts and pairs; text
        for all others.

    Raises:
        UsageError: the flag cannot have this value.
    """
    spelling = f"--{flag.name}"
    match flag.kind:
        case "duration":
            return _seconds(spelling, text)
        case "failsafe":
            return 0.0 if text in ("off", "0") else _seconds(spelling, text)
        case "count":
            return _count(spelling, text)
        case "domain":
            return _domain(spelling, text)
        case "map":
            return _map(spelling, text)
        case "amounts" | "pairs":
            return _pairs(flag, text)
        case "namespace" if not _NAME.fullmatch(text):
            raise UsageError(f"{text!r} is not the name of a namespace", "see kubectl get namespaces")
        case "service":
            return service_pattern(text)
    if flag.choices and text not in flag.choices and not _begins_like(text, flag.choices):
        raise UsageError(f"{spelling} cannot be {text!r}", f"it is one of {', '.join(flag.choices)}")
    return text


def _begins_like(text: str, choices: Sequence[str]) -> bool:
    """Whether a text begins with one of the choices that end in `=`, and goes on."""
    return any(text.startswith(choice) and text != choice for choice in choices if choice.endswith("="))


def parse_duration(text: str) -> float:
    """A duration as Go and kubectl write it (`5m`, `1h30m`, `500ms`, `0`), in seconds.

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


def _seconds(spelling: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{spelling}: {error}", f"for example {spelling} 5m") from error


def _count(spelling: str, text: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,5}", text):
        raise UsageError(f"{spelling}: {text!r} is not a number of at least 1", f"for example {spelling} 64")
    return int(text)


def _domain(spelling: str, text: str) -> str:
    domain = text.lower().removesuffix(".")
    if len(domain) > 253 or not _DOMAIN.fullmatch(domain):
        raise UsageError(f"{spelling}: {text!r} is not a DNS name", f"for example {spelling} cluster.local")
    return domain


def _map(spelling: str, text: str) -> Any:
    from kubectl_localize.cluster.exposing.ports import parse_map  # needed by `expose` only

    service, equals, ports = text.partition("=")
    try:
        return parse_map(f"{service_name(service)}={ports}" if equals else text)
    except ValueError as error:
        example = f"for example {spelling} 3000 or {spelling} shop/web=3000:http"
        raise UsageError(f"{spelling}: {error}", example) from error


def _pairs(flag: Flag, text: str) -> Any:
    from kubectl_localize.cluster.exposing.shape import parse_amounts, parse_pairs  # needed by `expose` only

    try:
        return parse_amounts(text) if flag.kind == "amounts" else parse_pairs(text)
    except ValueError as error:
        raise UsageError(f"--{flag.name}: {error}", f"for example --{flag.name} {flag.value}") from error
