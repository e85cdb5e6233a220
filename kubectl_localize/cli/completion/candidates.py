"""Which words Tab offers at the cursor; pure, except that names are read from their source if the place needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kubectl_localize.cli.completion.line import Line, Place
from kubectl_localize.cli.flags import COMMANDS, COMPLETION_WORDS, START, SUMMARIES, Flag, flags_of

_SYSTEM = "kube-system/"
_ABOUT_WHAT_RUNS = ("ls", "stop")  # commands that are about what runs, not about what the cluster has


@dataclass(frozen=True, order=True)
class Candidate:
    """A word that may come, and a line about it, or nothing."""

    text: str
    description: str = ""


@dataclass(frozen=True)
class Answer:
    """All words that may come.

    Args:
        candidates: sorted.
        files: whether the shell should offer files if there is no candidate.
    """

    candidates: tuple[Candidate, ...] = ()
    files: bool = False


@dataclass(frozen=True, order=True)
class Running:
    """A Service that is forwarded or exposed now."""

    context: str
    namespace: str
    name: str
    exposed: bool

    @property
    def service(self) -> str:
        """`ns/svc`."""
        return f"{self.namespace}/{self.name}"


class NameSource(Protocol):
    """A source of names for Tab. No method raises; if something cannot be learned, the answer is empty."""

    def kubeconfig_names(self, kind: str) -> Sequence[str]:
        """The names of all contexts, clusters or users (`context`, `cluster`, `user`)."""

    def context(self) -> str:
        """The name of the context that the command line selects."""

    def namespace(self) -> str:
        """That context's namespace."""

    def namespaces(self) -> Sequence[str]:
        """The cluster's namespaces."""

    def services(self, namespace: str) -> Sequence[str]:
        """The cluster's Services as `ns/svc`; if listing all is forbidden, those of the namespace."""

    def running(self) -> Sequence[Running]:
        """The Services that are forwarded or exposed on this machine, in all contexts."""

    def programs(self, prefix: str) -> Sequence[str]:
        """The commands in PATH that begin so."""


def complete(line: Line, source: NameSource) -> Answer:
    """The words that may come at the line's place and begin with what is typed."""
    if line.place is Place.FLAG:
        return _matching(line.typed, _flags(line))
    if line.place is Place.VALUE and line.flag is not None:
        return _value(line, line.flag, source)
    if line.place is Place.PROGRAM:
        if len(line.words) > 1 or not line.typed or "/" in line.typed:
            return Answer(files=True)
        return Answer(tuple(map(Candidate, source.programs(line.typed))), files=True)
    return _matching(line.typed, _words(line, source))


def _matching(prefix: str, candidates: Iterable[Candidate]) -> Answer:
    """The candidates that begin with what was typed; those that do not fit on one line are left out."""
    matching = (
        candidate for candidate in candidates if candidate.text.startswith(prefix) and candidate.text.isprintable()
    )
    return Answer(tuple(sorted(dict.fromkeys(matching))))


def _names(prefix: str, names: Iterable[str]) -> Answer:
    return _matching(prefix, map(Candidate, names))


# -- flags and their values -------------------------------------------------------------------------------------------
def _flags(line: Line) -> Iterator[Candidate]:
    """The flags that may still be given, in both spellings."""
    for flag in flags_of(line.command):
        if flag.many or not line.given(flag.name):
            for spelling in flag.spellings:
                yield Candidate(spelling, flag.help)


def _value(line: Line, flag: Flag, source: NameSource) -> Answer:
    match flag.kind:
        case "file":
            return Answer(files=True)
        case "context" if line.command in _ABOUT_WHAT_RUNS:
            running = {service.context for service in source.running()}
            return _names(line.typed, running or source.kubeconfig_names("context"))
        case "context" | "cluster" | "user":
            return _names(line.typed, source.kubeconfig_names(flag.kind))
        case "namespace":
            return _names(line.typed, _namespaces(line, source))
        case "service":
            return _names(line.typed, _services(line, source))
        case _:
            return _names(line.typed, _choices(line.command, flag))


def _choices(command: str, flag: Flag) -> tuple[str, ...]:
    """The values that a flag may have in this command: `-o` takes different ones in each."""
    return next((own.choices for own in flags_of(command) if own.name == flag.name), ())


def _namespaces(line: Line, source: NameSource) -> Iterable[str]:
    given = set(line.values("namespace")) if line.flag is not None and line.flag.name == "namespace" else set()
    if line.command in _ABOUT_WHAT_RUNS:
        return {service.namespace for service in _running(line, source)} - given
    return set(source.namespaces()) - given


# -- words ------------------------------------------------------------------------------------------------------------
def _words(line: Line, source: NameSource) -> Iterable[Candidate]:
    if line.command == "completion":
        return [] if line.words else [Candidate(word, help_line) for word, help_line in COMPLETION_WORDS.items()]
    if line.command in _ABOUT_WHAT_RUNS:
        names: Iterable[str] = _as_typed(line, "", (service.service for service in _running(line, source)))
    elif line.command == "expose" and line.given("stop"):
        exposed = (service.service for service in _running(line, source) if service.exposed)
        names = _as_typed(line, source.namespace(), exposed)
    elif line.command in (START, "expose"):
        names = _services(line, source)
    else:
        return []
    services = [Candidate(name) for name in names if name not in line.words]
    if line.command != START or line.words:
        return services
    commands = [Candidate(name, SUMMARIES.get(name, "")) for name in COMMANDS]
    return [*commands, *(candidate for candidate in services if candidate.text not in COMMANDS)]


def _running(line: Line, source: NameSource) -> list[Running]:
    """What runs in the context that the line means; for `ls` that is every context unless one is given."""
    context = line.value("context") if line.command == "ls" else source.context()
    return [service for service in source.running() if context in ("", service.context)]


def _services(line: Line, source: NameSource) -> Iterable[str]:
    namespaces = line.values("namespace")
    namespace = namespaces[-1] if namespaces else source.namespace()
    context = source.context()
    running = (service.service for service in source.running() if service.context == context)
    return _as_typed(line, namespace, [*source.services(namespace), *running])


def _as_typed(line: Line, namespace: str, services: Iterable[str]) -> Iterator[str]:
    """Services as one would type them: bare names for the namespaces that the line selects, `ns/svc` for the others.

    Args:
        line: its `-n` flags select namespaces.
        namespace: the one that is selected without `-n`; empty: all of them.
        services: as `ns/svc`.
    """
    given = line.values("namespace")
    for service in services:
        of_namespace, _, name = service.partition("/")
        if given:
            if of_namespace in given:
                yield name
            continue
        if of_namespace == namespace or not namespace:
            yield name
        # Nobody wants to see the whole list twice, nor the system's own Services before they ask.
        if line.typed or (of_namespace != namespace and not service.startswith(_SYSTEM)):
            yield service
