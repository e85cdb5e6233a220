"""What a command asks of a supervisor, and what the supervisor may need of the command in turn."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Connection, Options, Selection, ServiceKey


@dataclass(frozen=True)
class StartRequest:
    """What a command asked for; two commands agree when theirs are equal."""

    connection: Connection
    selection: Selection
    options: Options


@dataclass(frozen=True)
class PrivilegeRequest:
    """What a session cannot do as this user: write the hosts file, bind these ports, add addresses to loopback."""

    hosts: bool
    ports: tuple[int, ...]
    addresses: bool = False

    def __bool__(self) -> bool:
        return self.hosts or bool(self.ports) or self.addresses


def order_from_json(request: dict[str, Any]) -> StartRequest:
    """The order in a `start` request."""
    return StartRequest(
        connection_from_json(request),
        Selection(**_tuples(request["selection"])),
        Options(**_tuples(request["options"])),
    )


def connection_from_json(request: dict[str, Any]) -> Connection:
    """Which cluster a request means, and as whom."""
    return Connection(**_tuples(request["connection"]))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def describe(selection: Selection) -> str:
    """The command that asks for a selection: `kubectl localize -n shop web`."""
    words = [word for namespace in selection.namespaces for word in ("-n", namespace)]
    words += ["-A"] if selection.all_namespaces else []
    words += ["-l", selection.label_selector] if selection.label_selector else []
    words += [f"--skip-namespace={namespace}" for namespace in selection.skip_namespaces]
    words += [f"--exclude={pattern}" for pattern in selection.exclude]
    return shlex.join(["kubectl", "localize", *words, *selection.patterns])


def nothing_selected(order: StartRequest, known: Sequence[ServiceKey]) -> LocalizeError:
    """The error that says that an order's selection has no Service.

    Args:
        known: the Services of the namespaces that were looked in.
    """
    selection = order.selection
    if selection.patterns:
        what = "no Service matches " + " ".join(selection.patterns)
    elif selection.label_selector:
        what = f"no Service matches -l {selection.label_selector}"
    elif selection.namespaces:
        what = f"there is no Service in {', '.join(selection.namespaces)}"
    else:
        what = "there is no Service to forward"
    near = _near(selection.patterns, known)
    return LocalizeError(
        f"{what} in context {order.connection.context}",
        f"did you mean {near}?"
        if near
        else "`kubectl get services -A` lists what there is; -n, -l, --exclude and SERVICE narrow it down",
    )


def _near(patterns: Sequence[str], known: Sequence[ServiceKey]) -> str:
    """The Service that a pattern may have been meant for, as the pattern would name it; empty where it is near none."""
    return next((found for pattern in patterns if (found := near(pattern, known))), "")


def near(pattern: str, known: Collection[ServiceKey]) -> str:
    """The Service that one pattern may have been meant for, as `web` or `shop/web`; empty where it is near none.

    Namespace and name count each by itself: a long namespace would make unlike names alike.
    """
    from difflib import get_close_matches

    namespace, slash, name = pattern.rpartition("/")
    places = get_close_matches(namespace, {key.namespace for key in known}, 1) if slash else []
    names = {key.name for key in known if not slash or key.namespace in places}
    found = get_close_matches(name, sorted(names), 1)
    return "/".join([*places, found[0]]) if found else ""
