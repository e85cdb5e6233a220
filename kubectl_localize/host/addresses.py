"""The address registry: gives each Service and pod a loopback address of its own, always the same one."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from kubectl_localize.errors import LocalizeError, UsageError
from kubectl_localize.host.blocking import in_daemon_thread
from kubectl_localize.host.files import make_room, move_aside, read_text
from kubectl_localize.host.paths import locked, make_private, write_atomic
from kubectl_localize.json_text import parse_json

LOCK_SECONDS = 5.0

_VERSION = 1
_UNUSED_DAYS = 90
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
# 127.0.0.1, systemd-resolved's 127.0.0.53 and Debian's 127.0.1.1 live here.
_RESERVED = ipaddress.IPv4Network("127.0.0.0/16")
_SMALLEST_RANGE = 256

# Context key and name, such as ("kind-dev-1a2b3c4d", "shop/web").
_Holder = tuple[str, str]


@dataclass(frozen=True)
class _Entry:
    address: str
    used: date


def validate_range(text: str) -> ipaddress.IPv4Network:
    """Return the network that `--ip-range` names.

    Args:
        text: in CIDR notation, such as `127.64.0.0/10`.

    Raises:
        UsageError: it is no IPv4 network within 127.0.0.0/8, touches 127.0.0.0/16, or has fewer than 256 addresses.
    """
    hint = "give a part of 127.0.0.0/8 outside 127.0.0.0/16, such as 127.64.0.0/10"
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not an IPv4 range: {error}", hint) from error
    if not network.subnet_of(_LOOPBACK):
        raise UsageError(f"the range {text} is not on the loopback interface", hint)
    if network.overlaps(_RESERVED):
        raise UsageError(f"the range {text} touches 127.0.0.0/16, which the machine itself uses", hint)
    if network.num_addresses < _SMALLEST_RANGE:
        raise UsageError(f"the range {text} has fewer than {_SMALLEST_RANGE} addresses", hint)
    return network


class AddressRegistry:
    """Assigns addresses from a file that all of the user's supervisors share.

    Args:
        path: the file, JSON.
        lock: the file that is locked while the registry is read and written.
        network: where new addresses come from.
        today: the current day; entries that nobody asked for in 90 days are dropped.
        lock_seconds: how long to wait for another process that holds the lock.
    """

    def __init__(
        self,
        path: Path,
        lock: Path,
        network: ipaddress.IPv4Network,
        today: Callable[[], date],
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        self._path = path
        self._lock = lock
        self._network = network
        self._today = today
        self._lock_seconds = lock_seconds

    async def assign(self, context_key: str, names: Iterable[str]) -> dict[str, str]:
        """Return an address for each name; a name that has one keeps it.

        Ask for all names that are in use, not only for new ones: asking keeps an entry alive. The file is written only
        if something changed, at least once a day. The event loop goes on meanwhile: another process may hold the lock.

        Args:
            context_key: the key of the context that the names belong to.
            names: such as `shop/web`, in any order.

        Raises:
            LocalizeError: the network has no free address left, another process holds the lock for too long, or the
                registry cannot be read or written.
        """
        wanted = sorted(set(names))
        return await in_daemon_thread(lambda: self._assign(context_key, wanted), "address-registry")

    def _assign(self, context_key: str, names: list[str]) -> dict[str, str]:
        make_private(self._lock.parent)
        try:
            with locked(self._lock, self._lock_seconds):
                make_room(self._path)
                before = self._read()
                after = self._updated(before, context_key, names)
                if after != before:
                    write_atomic(self._path, _to_json(after))
        except TimeoutError as error:
            raise LocalizeError(
                f"the address registry {self._path} is locked by another process",
                f"`fuser {self._lock}` names it: continue or end it; this is tried again",
            ) from error
        except OSError as error:
            raise LocalizeError(f"the address registry {self._path} cannot be used: {error.strerror}") from error
        return {name: after[context_key, name].address for name in names}

    def _updated(self, before: dict[_Holder, _Entry], context_key: str, names: list[str]) -> dict[_Holder, _Entry]:
        today = self._today()
        oldest = today - timedelta(days=_UNUSED_DAYS)
        wanted = {(context_key, name) for name in names}
        entries = {
            holder: entry
            for holder, entry in before.items()
            if (self._contains(entry.address) if holder in wanted else entry.used >= oldest)
        }
        taken = {entry.address for entry in entries.values()}
        for name in names:
            holder = (context_key, name)
            known = entries.get(holder)
            if known is None:
                address = self._free_address(holder, taken)
                taken.add(address)
                entries[holder] = _Entry(address, today)
            elif known.used != today:
                entries[holder] = replace(known, used=today)
        return entries

    def _contains(self, address: str) -> bool:
        return ipaddress.IPv4Address(address) in self._network

    def _free_address(self, holder: _Holder, taken: set[str]) -> str:
        size = self._network.num_addresses
        first = int(self._network.network_address)
        digest = hashlib.sha256("\0".join(holder).encode("utf-8", "surrogateescape")).digest()
        start = int.from_bytes(digest[:8], "big") % size
        for step in range(size):
            number = first + (start + step) % size
            # Last octets 0 and 255 also rule out the network's own address and its broadcast address.
            if number & 0xFF not in (0, 255):
                address = _dotted(number)
                if address not in taken:
                    return address
        raise LocalizeError(
            f"no address is left in {self._network}", f"choose a larger --ip-range, or remove {self._path}"
        )

    def _read(self) -> dict[_Holder, _Entry]:
        try:
            text = read_text(self._path, errors="surrogateescape")
        except FileNotFoundError:
            return {}
        try:
            return _from_json(text)
        except (ValueError, TypeError, KeyError, AttributeError):
            # Kept for a look at what went wrong. Addresses are derived anew, and nearly all come out the same.
            move_aside(self._path)
            return {}


def _dotted(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 0xFF}.{number >> 8 & 0xFF}.{number & 0xFF}"


def _from_json(text: str) -> dict[_Holder, _Entry]:
    document = parse_json(text)
    if document["version"] != _VERSION:
        raise ValueError("unknown version")
    entries: dict[_Holder, _Entry] = {}
    seen: set[str] = set()
    days: dict[str, date] = {}
    for context_key, names in document["contexts"].items():
        for name, (address, used) in names.items():
            if used not in days:
                days[used] = date.fromisoformat(used)
            ipaddress.IPv4Address(address)
            if address not in seen:
                seen.add(address)
                entries[context_key, name] = _Entry(address, days[used])
    return entries


def _to_json(entries: dict[_Holder, _Entry]) -> str:
    contexts: dict[str, dict[str, tuple[str, str]]] = {}
    for (context_key, name), entry in sorted(entries.items(), key=lambda item: item[0]):
        contexts.setdefault(context_key, {})[name] = (entry.address, entry.used.isoformat())
    return json.dumps({"version": _VERSION, "contexts": contexts})
