"""What `ls` shows: the state files of all supervisors, read, merged and filtered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from kubectl_localize.codec import CodecError
from kubectl_localize.host.files import is_outdated, read_text
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.label_selector import Requirement, matches
from kubectl_localize.ls_document import ExposureItem, ForwardItem, Item, LsDocument, Status, SupervisorItem

# The pid of the live process that holds a pidfile; None if there is none.
Owner = Callable[[Path], int | None]


# -- reading ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Reading:
    """The contents of all state files.

    Args:
        document: what runs, of all live supervisors.
        warnings: a sentence for each state file that could not be read or whose supervisor is dead.
        is_partial: whether the file of a supervisor that runs is missing.
    """

    document: LsDocument
    warnings: tuple[str, ...] = ()
    is_partial: bool = False


@dataclass(frozen=True)
class StateFiles:
    """The state files of all of this user's supervisors.

    Args:
        paths: where they are.
        owner: who holds a pidfile.
    """

    paths: Paths
    owner: Owner

    def read(self) -> Reading:
        """All of them as one document."""
        documents: list[LsDocument] = []
        warnings: list[str] = []
        is_partial = False
        for run in self.paths.all_runs():
            try:
                document = _read(run, self.owner)
            except (OSError, ValueError) as error:
                warnings.append(f"{run.state} cannot be read: {getattr(error, 'strerror', None) or error}")
                continue
            if isinstance(document, str):
                warnings.append(document)
                is_partial = is_partial or self.owner(run.pidfile) is not None
            elif document is not None:
                documents.append(document)
                if is_outdated(run.state):
                    warnings.append(f"{run.state} cannot be written any more, so what it says is out of date")
        return Reading(merge(documents), tuple(warnings), is_partial)

    def signature(self) -> tuple[object, ...]:
        """A value that changes whenever `read` may return something else."""
        return tuple((run.key, _stamp(run.state), self.owner(run.pidfile)) for run in self.paths.all_runs())


def _read(run: RunPaths, owner: Owner) -> LsDocument | str | None:
    """A live supervisor's document, a warning about a dead one, None if nothing runs and nothing is left."""
    text = _text(run)
    pid = owner(run.pidfile)
    if pid is None:
        text = _text(run)  # a supervisor that has just ended properly has removed its file
        return None if text is None else _dead_warning(run, text)
    if text is None:
        return f"the supervisor with pid {pid} ({run.key}) has no state file yet"
    return LsDocument.from_text(text)


def _text(run: RunPaths) -> str | None:
    try:
        return read_text(run.state)
    except FileNotFoundError:
        return None


def _dead_warning(run: RunPaths, text: str) -> str:
    """What to say of a state file whose supervisor is dead."""
    hint = "what it forwarded is no longer forwarded; the next kubectl localize there cleans up"
    try:
        document = LsDocument.from_text(text)
        supervisor = document.supervisors[0]
    except (CodecError, IndexError):
        return f"a supervisor is gone and left {run.state} behind; {hint}"
    exposed = [f"{item.namespace}/{item.name}" for item in document.items if isinstance(item, ExposureItem)]
    if exposed:
        hint = f"nobody serves {', '.join(exposed)} any more: `kubectl localize restore` brings the workloads back"
    return f"the supervisor of context {supervisor.context} (pid {supervisor.pid}) is gone; {hint}"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


# -- merging and filtering --------------------------------------------------------------------------------------------
def merge(documents: Iterable[LsDocument]) -> LsDocument:
    """One document of several: supervisors sorted by context, items by context, namespace, name and kind."""
    merged = list(documents)
    supervisors = [supervisor for document in merged for supervisor in document.supervisors]
    items = [item for document in merged for item in document.items]
    return LsDocument(
        tuple(sorted(supervisors, key=lambda supervisor: (supervisor.context, supervisor.pid))),
        tuple(sorted(items, key=lambda item: (item.context, item.namespace, item.name, item.kind))),
    )


@dataclass(frozen=True)
class Filter:
    """Which supervisors and items are wanted; what is empty does not narrow.

    Args:
        context: the context's name.
        namespaces: their names.
        patterns: `svc`, `ns/svc` or globs; one without a slash matches in any namespace.
        requirements: the label selector's. An exposure has no labels of its own.
    """

    context: str = ""
    namespaces: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()

    @property
    def narrows_items(self) -> bool:
        """Whether it may leave out Services of a supervisor that it lets through."""
        return bool(self.namespaces or self.patterns or self.requirements)

    def apply(self, document: LsDocument) -> LsDocument:
        """The document, reduced to the supervisors and items that the filter selects."""
        if not self.context and not self.narrows_items:
            return document
        return LsDocument(
            tuple(entry for entry in document.supervisors if self.context in ("", entry.context)),
            tuple(item for item in document.items if self._wants(item)),
        )

    def _wants(self, item: Item) -> bool:
        return (
            self.context in ("", item.context)
            and (not self.namespaces or item.namespace in self.namespaces)
            and (not self.patterns or any(_matches(pattern, item) for pattern in self.patterns))
            and matches(self.requirements, item.labels if isinstance(item, ForwardItem) else {})
        )


def _matches(pattern: str, item: Item) -> bool:
    from fnmatch import fnmatchcase

    namespace, slash, name = pattern.rpartition("/")
    return fnmatchcase(item.name, name) and (not slash or fnmatchcase(item.namespace, namespace))


def folded(document: LsDocument) -> LsDocument:
    """The document without the Services that cannot be forwarded, unless there are no others."""
    exposed = {(item.context, item.namespace, item.name) for item in document.items if isinstance(item, ExposureItem)}
    items = tuple(
        item
        for item in document.items
        if item.status is not Status.SKIPPED or (item.context, item.namespace, item.name) in exposed
    )
    return replace(document, items=items) if items else document


# -- what is said about it --------------------------------------------------------------------------------------------
def near_names(wanted: Filter, document: LsDocument) -> str:
    """A hint for a name that matches nothing: `did you mean web?`; empty if no name is like it."""
    if not wanted.narrows_items:
        return ""
    from difflib import get_close_matches

    from kubectl_localize.cluster.selection import near
    from kubectl_localize.model import ServiceKey

    items = [item for item in document.items if wanted.context in ("", item.context)]
    namespaces = {item.namespace for item in items}
    for namespace in wanted.namespaces:
        if namespace not in namespaces and (similar := get_close_matches(namespace, sorted(namespaces), 1)):
            return f"did you mean -n {similar[0]}?"
    services = {ServiceKey(item.namespace, item.name) for item in items}
    for pattern in wanted.patterns:
        service = near(pattern, services)
        if service not in ("", pattern):
            return f"did you mean {service}?"
    return ""


def unmatched_names(wanted: Filter, document: LsDocument) -> list[str]:
    """A sentence for each name that matches nothing that runs, if others do.

    Args:
        document: all that runs.
    """
    sentences = []
    for pattern in wanted.patterns:
        alone = replace(wanted, patterns=(pattern,))
        if not alone.apply(document).items:
            hint = near_names(alone, document)
            sentences.append(f"nothing that runs matches {pattern}{f'; {hint}' if hint else ''}")
    return sentences


def other_version(supervisor: SupervisorItem, own: str) -> str:
    """A sentence about a supervisor of another version of this program; empty if it is the same version.

    Args:
        supervisor: one that does not say its version counts as the same.
        own: this program's version.
    """
    if supervisor.version in ("", own):
        return ""
    return f"the supervisor (pid {supervisor.pid}) is of version {supervisor.version}, this is {own}"


def notes(document: LsDocument, own: str) -> list[str]:
    """What to say about the supervisors on stderr, a sentence each.

    Args:
        document: what runs.
        own: this program's version.
    """
    sentences: list[str] = []
    several = len({supervisor.context for supervisor in document.supervisors}) > 1
    for supervisor in document.supervisors:
        of_it = list(supervisor.warnings)
        if other := other_version(supervisor, own):
            of_it.append(f"{other}; `kubectl localize stop` ends it, and the next start brings the new one")
        sentences += [f"context {supervisor.context}: {text}" if several else text for text in of_it]
    return sentences
