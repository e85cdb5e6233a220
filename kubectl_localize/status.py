"""The statuses that `ls` shows, of a Service and of the hosts file; apart from model.py, so `ls` starts quickly."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What `ls` shows of a Service or of one of its ports."""

    IDLE = "Idle"
    ACTIVE = "Active"
    WAITING = "Waiting"
    BACKOFF = "Backoff"
    SKIPPED = "Skipped"
    EXPOSING = "Exposing"
    EXPOSED = "Exposed"
    RESTORING = "Restoring"


class HostsState(StrEnum):
    """Whether the names of this context stand in the hosts file."""

    WRITTEN = "written"
    OFF = "off"
    DENIED = "denied"
