"""What may come at a place of a command line; pure but for the names, which are asked for only where they count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kubectl_localize.cli.completion.line import Line, Place
from kubectl_localize.cli.flags import COMMANDS, COMPLETION_WORDS, START, SUMMARIES, Flag, flags_of

_SYSTEM = "kube-system/"
_OF_WHAT_RUNS = ("ls", "stop")  # commands that are about what runs, not about what the cluster has


@dataclass(frozen=True, order=True)
class Candidate:
    """One word that may come, and a line about it, or nothing."""

    text: str
    about: str = ""


@dataclass(frozen=True)
class Answer:
    """All that may come; `files` asks the shell to offer files where there is no candidate."""

    candidates: tuple[Candidate, ...] = ()
    files: bool = False


@dataclass(frozen=True, order=True)
class Running:
    """A Service that is forwarded or exposed now."""

    context: str
    namespace: str
    name: str
    exposed: bool


class Known(Protocol):
    """Where names come from. No method raises; one that learns nothing returns nothing."""

    def of_kubeconfig(self, kind: str) -> Sequence[str]:
        """The names of all contexts, clusters or users (`context`, `cluster`, `user`)."""

    def context(self) -> str:
        """The name of the context that the line means."""

    def namespace(self) -> str:
        """That context's namespace."""

    def namespaces(self) -> Sequence[str]:
        """The cluster's namespaces."""

    def services(self, namespace: str) -> Sequence[str]:
        """The cluster's Services as `ns/svc`; where they may not all be listed, those of the namespace."""

    def running(self) -> Sequence[Running]:
        """What runs on this machine, in all contexts."""

    def programs(self, prefix: str) -> Sequence[str]:
        """The commands in PATH that begin so."""


def complete(line: Line, known: Known) -> Answer:
    """What may come at the line's place, sorted, each beginning with what is typed."""
    if line.place is Place.FLAG:
        return _matching(line.typed, _flags(line))
    if line.place is Place.VALUE and line.flag is not None:
        return _value(line, line.flag, known)
    if line.place is Place.PROGRAM:
        if len(line.words) > 1 or not line.typed or "/" in line.typed:
            return Answer(files=True)
        return Answer(tuple(map(Candidate, known.programs(line.typed))), files=True)
    return _matching(line.typed, _words(line, known))


def _matching(prefix: str, candidates: Iterable[Candidate]) -> Answer:
    """Those that begin so; without what a line of text cannot carry."""
    found = (one for one in candidates if one.text.startswith(prefix) and one.text.isprintable())
    return Answer(tuple(sorted(dict.fromkeys(found))))


def _names(prefix: str, names: Iterable[str]) -> Answer:
    return _matching(prefix, map(Candidate, names))


# Flags and their values ---------------------------------------------------------------------------------


def _flags(line: Line) -> Iterable[Candidate]:
    """The flags that may still be given, in both spellings."""
    for flag in flags_of(line.command):
        if flag.many or not line.given(flag.name):
            for spelling in flag.spellings:
                yield Candidate(spelling, flag.help)


def _value(line: Line, flag: Flag, known: Known) -> Answer:
    if flag.kind == "file":
        return Answer(files=True)
    if flag.kind == "context" and line.command in _OF_WHAT_RUNS:
        running = {one.context for one in known.running()}
        return _names(line.typed, running or known.of_kubeconfig("context"))
    if flag.kind in ("context", "cluster", "user"):
        return _names(line.typed, known.of_kubeconfig(flag.kind))
    if flag.kind == "namespace":
        return _names(line.typed, _namespaces(line, known))
    if flag.kind == "service":
        return _names(line.typed, _services(line, known))
    return _names(line.typed, _choices(line.command, flag))


def _choices(command: str, flag: Flag) -> tuple[str, ...]:
    """The command's own: `-o` is spelled alike everywhere, and takes different values."""
    return next((own.choices for own in flags_of(command) if own.name == flag.name), ())


def _namespaces(line: Line, known: Known) -> Iterable[str]:
    others = set(line.values("namespace")) if line.flag is not None and line.flag.name == "namespace" else set()
    if line.command == "ls":
        return {one.namespace for one in _running(line, known)} - others
    return set(known.namespaces()) - others


# Words --------------------------------------------------------------------------------------------------


def _words(line: Line, known: Known) -> Iterable[Candidate]:
    if line.command == "completion":
        return [] if line.words else [Candidate(word, about) for word, about in COMPLETION_WORDS.items()]
    if line.command == "ls":
        names: Iterable[str] = _spelled(line, "", (f"{one.namespace}/{one.name}" for one in _running(line, known)))
    elif line.command == "expose" and line.given("stop"):
        exposed = (f"{one.namespace}/{one.name}" for one in _running(line, known) if one.exposed)
        names = _spelled(line, known.namespace(), exposed)
    elif line.command in (START, "expose"):
        names = _services(line, known)
    else:
        return []
    services = [Candidate(name) for name in names if name not in line.words]
    if line.command != START or line.words:
        return services
    commands = [Candidate(name, SUMMARIES.get(name, "")) for name in COMMANDS]
    return [*commands, *(one for one in services if one.text not in COMMANDS)]


def _running(line: Line, known: Known) -> list[Running]:
    """What runs, of the context that the line means; `ls` means all of them unless it is told one."""
    context = line.value("context") if line.command == "ls" else known.context()
    return [one for one in known.running() if context in ("", one.context)]


def _services(line: Line, known: Known) -> Iterable[str]:
    chosen = line.values("namespace")
    namespace = chosen[-1] if chosen else known.namespace()
    running = (f"{one.namespace}/{one.name}" for one in known.running() if one.context == known.context())
    return _spelled(line, namespace, [*known.services(namespace), *running])


def _spelled(line: Line, namespace: str, services: Iterable[str]) -> Iterable[str]:
    """Services as they may be typed: those of the namespaces that are meant by their bare names.

    Args:
        namespace: where a bare name is looked for when no `-n` is on the line; everywhere where it is empty.
    """
    chosen = line.values("namespace")
    for service in services:
        where, _, name = service.partition("/")
        if chosen:
            if where in chosen:
                yield name
            continue
        if where == namespace or not namespace:
            yield name
        # Nobody wants to see the whole list twice, nor the system's own Services before they ask.
        if line.typed or (where != namespace and not service.startswith(_SYSTEM)):
            yield service
