"""A cache on disk of what was worked out from files, valid until one of the files changes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.files import read_json
from kubectl_localize.host.paths import make_private, write_atomic


class FileCache:
    """One JSON file (mode 0600) for each question, with the state of the files that its answer came from.

    New answers are written by `save` only: a command that fails leaves no files behind.

    Args:
        root: the directory of all state of this user; the cache is a directory below it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._new: dict[Path, str] = {}

    def get(self, question: str, files: Sequence[str], work_out: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `work_out` returns, or returned when the files were last as they are now.

        Args:
            question: what is asked; a part of the file's name.
            files: absolute paths; one that does not exist counts, too.
            work_out: returns a JSON object without secrets. What it raises is not remembered.
        """
        path = self._path(question, files)
        stamps = [_stamp(file) for file in files]
        with suppress(OSError, ValueError, KeyError, TypeError):
            entry = read_json(path)
            if entry["files"] == stamps and isinstance(entry["answer"], dict):
                answer: dict[str, Any] = entry["answer"]
                return answer
        answer = work_out()
        self._new[path] = json.dumps({"files": stamps, "answer": answer})
        return answer

    def save(self) -> None:
        """Write what is new; if it cannot be written, the next command works it out again."""
        with suppress(OSError, LocalizeError):
            for path, text in self._new.items():
                make_private(self._root)
                make_private(path.parent)
                write_atomic(path, text)
        self._new.clear()

    def _path(self, question: str, files: Sequence[str]) -> Path:
        from zlib import crc32  # not for security: an entry of other files has other stamps

        digest = crc32("\0".join([question, *files]).encode("utf-8", "surrogateescape"))
        return self._root / "cache" / f"{question}-{digest:08x}.json"


def _stamp(file: str) -> list[Any]:
    """What changes whenever the file does; with its path, since two lists of files may share a cache file."""
    try:
        status = os.stat(file)
    except OSError:
        return [file, None]
    return [file, status.st_ino, status.st_mtime_ns, status.st_size]
