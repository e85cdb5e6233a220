"""Who holds which forwards: what each command asked for, and what all of them ask for together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from kubectl_localize.cluster.selection import may_select, selected
from kubectl_localize.errors import LocalizeError
from kubectl_localize.label_selector import parse_selector
from kubectl_localize.model import Options, Selection, Service, ServiceKey
from kubectl_localize.supervisor.forwarding.dns_names import Claim
from kubectl_localize.supervisor.forwarding.spec import Terms


class Hold:
    """What one command asked for, and still holds.

    Args:
        asked: the selection that it asked for.
        namespace: the context's namespace at that time.
        options: how it wants its forwards made.

    Raises:
        LocalizeError: its label selector is none.

    Attributes:
        selection: what is left of `asked`: `stop SERVICE` leaves Services out.
        keys: the Services that it selects now.
        namespaces: which of them are followed for it; `""` is all of them.
        led_to: namespaces into which ExternalNames lead that it selects, and which have been tried to follow.
        warnings: what it cannot have, a sentence each.
        unmatched: the same of names that were typed and match nothing, which is said once.
        active: whether its Services are forwarded; not before its command has been asked for privileges.
        background: whether it is held until `stop`, and not by a command that is connected.
        told: whether its command has been told what runs, and hears of changes from then on.
    """

    def __init__(self, asked: Selection, namespace: str, options: Options) -> None:
        self.asked = self.selection = asked
        self.namespace = namespace
        self.options = options
        self._requirements = parse_selector(asked.label_selector)
        self.keys: set[ServiceKey] = set()
        self.namespaces: tuple[str, ...] = ()
        self.led_to: set[str] = set()
        self.warnings: tuple[str, ...] = ()
        self.unmatched: tuple[str, ...] = ()
        self.active = False
        self.background = False
        self.told = False

    @cached_property
    def terms(self) -> Terms:
        """How it wants the connections to its Services treated."""
        return Terms(self.options.allow_other_users, self.options.wait_timeout_seconds)

    def selects(self, service: Service) -> bool:
        """Whether it wants a Service forwarded."""
        return selected(service, self.selection, self.namespace, self._requirements)

    def concerns(self, key: ServiceKey) -> bool:
        """Whether its command is to hear what happens to a Service, which may be gone by now."""
        return self.told and may_select(key, self.selection, self.namespace)

    def leave_out(self, patterns: tuple[str, ...]) -> None:
        """Want these Services no more."""
        self.selection = replace(self.selection, exclude=(*self.selection.exclude, *patterns))

    def is_like(self, other: Hold) -> bool:
        """Whether another command asked for the same."""
        return (self.asked, self.namespace, self.options) == (other.asked, other.namespace, other.options)


class Holds:
    """All holds, the oldest first."""

    def __init__(self) -> None:
        self._holds: list[Hold] = []

    def __iter__(self) -> Iterator[Hold]:
        return iter(tuple(self._holds))

    def __len__(self) -> int:
        return len(self._holds)

    def add(self, hold: Hold) -> None:
        """One more, which selects nothing until it is active."""
        self._holds.append(hold)

    def remove(self, hold: Hold) -> None:
        """Hold nothing for it any more."""
        if hold in self._holds:
            self._holds.remove(hold)

    def keep_in_background(self, hold: Hold) -> Hold | None:
        """Keep a hold when its command is gone.

        Returns:
            One like it that was kept before, and whose place it takes; None if there is none.
        """
        hold.background = True
        before = next((other for other in self._holds if other is not hold and other.background and
                       other.is_like(hold)), None)  # fmt: skip
        if before is not None:
            self._holds.remove(hold)
            self._holds[self._holds.index(before)] = hold
        return before

    def note(self, key: ServiceKey, service: Service | None) -> Terms | None:
        """Take in what the cluster has of a Service now.

        Args:
            service: None if it is gone.

        Returns:
            How its connections are to be treated; None if it is not to be forwarded.
        """
        terms = None
        for hold in self._holds:
            if service is None or not hold.active or not hold.selects(service):
                hold.keys.discard(key)
                continue
            hold.keys.add(key)
            terms = hold.terms if terms is None else _together(terms, hold.terms)
        return terms

    def has_names(self, key: ServiceKey) -> bool:
        """Whether a forwarded Service is to have names."""
        return any(hold.options.hosts and key in hold.keys for hold in self._holds)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Who has a claim to bare names, in this order."""
        return tuple(Claim(hold.namespace, frozenset(hold.keys)) for hold in self._holds if hold.options.hosts)

    @property
    def namespaces(self) -> set[str]:
        """The namespaces that have to be followed; `""` is all of them."""
        return {namespace for hold in self._holds for namespace in hold.namespaces}

    @property
    def max_children(self) -> int:
        """As many as the command that wants most."""
        return max((hold.options.max_children for hold in self._holds), default=Options().max_children)

    @property
    def idle_timeout_seconds(self) -> float:
        """As long as the command that wants longest."""
        default = Options().idle_timeout_seconds
        return max((hold.options.idle_timeout_seconds for hold in self._holds), default=default)

    @property
    def warnings(self) -> list[str]:
        """What they cannot have, each sentence once."""
        return list(dict.fromkeys(warning for hold in self._holds for warning in hold.warnings))


def _together(terms: Terms, other: Terms) -> Terms:
    """Terms that give each of two commands what it asked for."""
    longest = max(terms.wait_timeout_seconds, other.wait_timeout_seconds)
    return Terms(terms.everybody or other.everybody, longest)


def check_shareable(running: Options, wanted: Options, context: str, pid: int) -> None:
    """Check that a second command can share a supervisor's forwards: there is one hosts file, range and domain.

    An address range or a domain that the second command does not name is whatever the first one's is.

    Args:
        running: of the command that came first.
        wanted: of the second one.
        pid: the supervisor's.

    Raises:
        LocalizeError: it cannot; the error says what differs.
    """
    default = Options()
    differences = []
    if wanted.hosts and not running.hosts:
        differences.append(("names in the hosts file", "--no-hosts"))
    if wanted.hosts and running.hosts and wanted.hosts_file != running.hosts_file:
        differences.append((f"--hosts-file {wanted.hosts_file}", f"--hosts-file {running.hosts_file}"))
    if wanted.ip_range not in (default.ip_range, running.ip_range):
        differences.append((f"--ip-range {wanted.ip_range}", f"--ip-range {running.ip_range}"))
    if wanted.cluster_domain not in (default.cluster_domain, running.cluster_domain):
        differences.append((f"--cluster-domain {wanted.cluster_domain}", f"--cluster-domain {running.cluster_domain}"))
    if differences:
        asked, runs = (" and ".join(sides) for sides in zip(*differences, strict=True))
        raise LocalizeError(
            f"context {context} is already forwarded by pid {pid} with {runs}; {asked} cannot be had beside it",
            "leave that out, or end what runs with `kubectl localize stop` (`kubectl localize ls` lists it)",
        )
