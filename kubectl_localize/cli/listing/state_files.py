"""Reads the state files of all supervisors, and tells the dead from the living."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.cli.listing.document import Document, merge, parse_document
from kubectl_localize.host.paths import RunPaths

Owner = Callable[[Path], int | None]


@dataclass(frozen=True)
class Reading:
    """What the living supervisors' files say together, and a sentence about each file that does not count."""

    document: Document
    warnings: tuple[str, ...] = ()


def read_states(runs: Iterable[RunPaths], owner: Owner) -> Reading:
    """All state files as one document.

    Args:
        owner: the pid of the live process that holds a pidfile, None where nobody does.
    """
    documents: list[Document] = []
    warnings: list[str] = []
    for run in runs:
        try:
            document = _read(run, owner)
        except (OSError, ValueError) as error:
            warnings.append(f"{run.state} cannot be read: {getattr(error, 'strerror', None) or error}")
            continue
        if isinstance(document, str):
            warnings.append(document)
        elif document is not None:
            documents.append(document)
    return Reading(merge(documents), tuple(warnings))


def _read(run: RunPaths, owner: Owner) -> Document | str | None:
    """A living supervisor's document, a warning about another's, None where there is nothing to say."""
    text = _text(run)
    pid = owner(run.pidfile)
    if pid is None:
        text = _text(run)  # one that has just ended properly has taken its file away
        return None if text is None else _gone(run, text)
    if text is None:
        return f"the supervisor with pid {pid} ({run.key}) has no state file yet"
    return parse_document(text)


def _text(run: RunPaths) -> str | None:
    try:
        return run.state.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _gone(run: RunPaths, text: str) -> str:
    hint = "what it forwarded is no longer forwarded; the next kubectl localize there cleans up"
    try:
        document = parse_document(text)
        entry = document["supervisors"][0]
    except (ValueError, IndexError):
        return f"a supervisor is gone and left {run.state} behind; {hint}"
    exposed = [f"{item['namespace']}/{item['name']}" for item in document["items"] if item["kind"] == "Exposure"]
    if exposed:
        hint = f"nobody serves {', '.join(exposed)} any more: `kubectl localize restore` brings the workloads back"
    return f"the supervisor of context {entry['context']} (pid {entry['pid']}) is gone; {hint}"


def signature(runs: Iterable[RunPaths], owner: Owner) -> tuple[object, ...]:
    """A value that changes whenever `read_states` may read something else."""
    return tuple((run.key, _stamp(run.state), owner(run.pidfile)) for run in runs)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
