"""Which names lead to which address: a pure function of what is forwarded and of the names that others hold."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubectl_localize.model import HostsLine, ServiceKey

LONGEST_NAME = 253  # RFC 1035; a long context's name under a pod's may be longer


@dataclass(frozen=True)
class Named:
    """Something with an address: a Service, or (with `label`) a pod below a Service's name."""

    key: ServiceKey
    address: str
    label: str = ""


@dataclass(frozen=True)
class NameRules:
    """What the names depend on, besides the Services.

    Args:
        context: the context's slug, which ends the names that every context has for itself.
        mark: goes behind that slug if another context has the same one.
        taken: names that others hold, and who does.
        public: names that really exist in public DNS.
        writable: whether a name may stand in the hosts file at all.
        user: this user's slug if another one of this machine has names there, too; else empty.
        others: which of the holders in `taken` are other users.
    """

    context: str
    cluster_domain: str
    taken: Mapping[str, str]
    public: Collection[str] = ()
    writable: Callable[[str], bool] = lambda name: len(name) <= LONGEST_NAME
    mark: str = ""
    user: str = ""
    others: Collection[str] = ()

    @property
    def own_end(self) -> str:
        """What ends the names that nobody else has: two users of one machine may well use the same context."""
        return f"{self.context}-{self.user}" if self.user else self.context


@dataclass(frozen=True)
class Claim:
    """One command's claim to bare names.

    Args:
        namespace: its context's namespace, whose Services go first.
        services: what it selects, forwarded or not.
    """

    namespace: str
    services: frozenset[ServiceKey]


@dataclass(frozen=True)
class Names:
    """The managed block's lines, and a sentence for each holder of names that had to be left alone."""

    lines: tuple[HostsLine, ...]
    warnings: tuple[str, ...]

    def of(self, address: str) -> tuple[str, ...]:
        """The names of an address."""
        return next((line.names for line in self.lines if line.address == address), ())


def with_final_dots(lines: Sequence[HostsLine], cluster_domain: str) -> tuple[HostsLine, ...]:
    """The lines with every full name (`web.shop.svc.cluster.local`) once more, with the dot that ends it.

    Programs write that dot to keep the resolver from its search list, and glibc looks for it in the hosts file.
    """
    end = f".svc.{cluster_domain}"
    return tuple(
        HostsLine(line.address, (*line.names, *(f"{name}." for name in line.names if _is_full(name, end))))
        for line in lines
    )


def _is_full(name: str, end: str) -> bool:
    return name.endswith(end) and len(name) < LONGEST_NAME


def context_slug(context: str) -> str:
    """A context's name as the end of a host name: `arn:aws:eks:…/dev` becomes `arn-aws-eks-…-dev`.

    A letter beyond ASCII makes its part of the name what browsers make of it (IDNA): `生产` becomes `xn--wlqs15g`.
    """
    words = [
        word if word.isascii() else _idna(word) for word in re.sub(r"[\0-,/:-@[-`{-\x7f]+", "-", context).split(".")
    ]
    slug = re.sub(r"[^a-z0-9.-]+", "-", ".".join(words).lower())
    labels = (label.strip("-")[:63].rstrip("-") for label in slug.split("."))
    return ".".join(label for label in labels if label) or "context"


def _idna(word: str) -> str:
    try:
        return word.encode("idna").decode()
    except UnicodeError:  # too long, or characters that no name may have
        from zlib import crc32

        return f"{word}-{crc32(word.encode('utf-8', 'surrogatepass')):08x}"


def bare_names(claims: Sequence[Claim]) -> dict[str, ServiceKey]:
    """Which Service has which bare name.

    In each claim it goes to the context's namespace, else to the only namespace that has it. Earlier claims go first,
    so that a name does not move because a second command wants something else.
    """
    holders: dict[str, ServiceKey] = {}
    for claim in claims:
        count = Counter(key.name for key in claim.services)
        for key in claim.services:
            if key.namespace == claim.namespace or count[key.name] == 1:
                holders.setdefault(key.name, key)
    return holders


def assign_names(named: Sequence[Named], claims: Sequence[Claim], rules: NameRules) -> Names:
    """Names for all addresses; no name leads to two. A Service's names go before a pod's.

    Args:
        named: what has an address.
        claims: who has a claim to bare names, the first one first.
    """
    bare = bare_names(claims)
    given: dict[str, str] = {}
    left_alone: dict[str, list[str]] = {}
    lines = []
    for entry in sorted(set(named), key=lambda entry: (bool(entry.label), entry.key, entry.label)):
        names = []
        for name in dict.fromkeys(_all_wanted(entry, rules, bare)):
            if not rules.writable(name):
                continue
            holder = "public DNS" if name in rules.public else rules.taken.get(name)
            is_own = name.endswith((f".{rules.context}", f".{rules.own_end}"))
            if holder is not None and holder not in rules.others and rules.mark and is_own:
                name, holder = f"{name}-{rules.mark}", None
            if holder is not None:
                left_alone.setdefault(holder, []).append(name)
            elif given.setdefault(name, entry.address) == entry.address:
                names.append(name)
        if names:
            lines.append(HostsLine(entry.address, tuple(names)))
    return Names(tuple(lines), tuple(_left_alone(holder, names, rules) for holder, names in left_alone.items()))


def candidates(named: Sequence[Named], claims: Sequence[Claim], rules: NameRules) -> frozenset[str]:
    """Every name that `assign_names` might give, before it is known who else has it (its arguments)."""
    bare = bare_names(claims)
    return frozenset(name for entry in named for name in _all_wanted(entry, rules, bare))


def _left_alone(holder: str, names: Sequence[str], rules: NameRules) -> str:
    own = f"; those that end in .{rules.own_end} are yours" if holder in rules.others else ""
    if len(names) == 1:
        return f"the name {names[0]} is left alone: {holder} has it{own}"
    return f"{len(names)} names are left alone, such as {names[0]}: {holder} has them{own}"


def _all_wanted(entry: Named, rules: NameRules, bare: Mapping[str, ServiceKey]) -> Iterator[str]:
    """The names for an entry; thousands are kept in several places, and should take their memory once."""
    return map(sys.intern, _wanted(entry, rules, bare.get(entry.key.name) == entry.key))


def _wanted(entry: Named, rules: NameRules, bare: bool) -> Iterator[str]:
    base = entry.key.name if not entry.label else f"{entry.label}.{entry.key.name}"
    full = f"{base}.{entry.key.namespace}"
    if bare:
        yield base
    yield full
    yield f"{full}.svc"
    yield f"{full}.svc.{rules.cluster_domain}"
    yield f"{full}.{rules.context}"
    if rules.user:
        yield f"{full}.{rules.own_end}"


def shadowing(names: Iterable[str], top_level_domains: Collection[str]) -> list[str]:
    """The `svc.ns` names that might exist in public DNS, since their namespace is called like a top-level domain."""
    return sorted({name for name in names if "." in name and name.rpartition(".")[2] in top_level_domains})
