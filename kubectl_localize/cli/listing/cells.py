"""What stands in the cells of the table: ports, endpoints, ages and sizes, as kubectl would write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

NONE = "<none>"

Port = dict[str, Any]


def port_text(port: Port) -> str:
    """One port of a forward: `5672`, `80->8080`, `53/UDP`, or `8080:80->http` where the local number is another."""
    number, local, target = port.get("port") or 0, port.get("localPort") or 0, port.get("targetPort") or 0
    protocol = port.get("protocol") or "TCP"
    moved = f"{local}:" if local not in (0, number) else ""
    arrow = f"->{target}" if target not in (0, number) else ""
    return f"{moved}{number}{arrow}" + ("" if protocol == "TCP" else f"/{protocol}")


def exposed_port_text(port: Port) -> str:
    """One port of an exposure: `80->127.0.0.1:3000`."""
    return f"{port.get('port') or 0}->{port.get('local') or port.get('targetPort') or NONE}"


def first_and_more(values: list[str], shown: int, *, space: bool) -> str:
    """The first values and how many more there are: `web-abc +1`, `a,b,+3`; `<none>` for none."""
    unique = list(dict.fromkeys(values))
    more = len(unique) - shown
    text = ",".join(unique[:shown])
    if more > 0:
        text += f" +{more}" if space else f",+{more}"
    return text or NONE


def seconds_since(moment: str | None, now: datetime) -> float | None:
    """Seconds from an RFC 3339 time until now; None where it is none."""
    if not moment:
        return None
    try:
        return (now - datetime.fromisoformat(moment)).total_seconds()
    except (ValueError, TypeError):
        return None


def age_text(seconds: float | None) -> str:
    """A duration as in kubectl's AGE column: `90s`, `2m30s`, `8m`, `3h`, `5d`, `2y10d`."""
    if seconds is None:
        return NONE
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    if days < 8 * 365:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")


def size_text(count: int) -> str:
    """Bytes for people: `512B`, `1.5KiB`, `20MiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if round(size, 1) < 1024:
            return f"{size:.0f}{unit}" if unit == "B" or round(size, 1) >= 10 else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}TiB"
