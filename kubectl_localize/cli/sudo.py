"""Tells an ordinary user who came by sudo from root."""

from __future__ import annotations

from collections.abc import Mapping


def is_sudo(effective_uid: int, environ: Mapping[str, str]) -> bool:
    """Whether an ordinary user started this as root; root itself is a user like any other."""
    return effective_uid == 0 and environ.get("SUDO_UID", "0") not in ("", "0")
