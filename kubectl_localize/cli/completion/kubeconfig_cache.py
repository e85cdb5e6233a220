"""Keeps what the kubeconfig says, since reading YAML takes longer than all the rest of a Tab."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import make_private, write_atomic

View = dict[str, Any]


def cached_kubeconfig(root: Path, files: Sequence[str], read: Callable[[Sequence[str]], View]) -> View:
    """What `read` says of these kubeconfig files, or said when they were last as they are now.

    Args:
        root: the directory of all state of this user.
        read: reads the files; what it returns holds no credentials.
    """
    now = [_stamp(file) for file in files]
    name = hashlib.sha256("\0".join(files).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    path = root / "completion" / f"kubeconfig-{name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["files"] == now and isinstance(kept["view"], dict):
            view: View = kept["view"]
            return view
    view = read(files)
    with suppress(OSError, ValueError, TypeError, LocalizeError):
        for directory in (root, path.parent):
            make_private(directory)
        write_atomic(path, json.dumps({"files": now, "view": view}))
    return view


def _stamp(file: str) -> list[int] | None:
    """What changes whenever a file does; None where there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return [status.st_ino, status.st_mtime_ns, status.st_size]
