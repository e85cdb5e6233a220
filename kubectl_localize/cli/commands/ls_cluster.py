"""`ls --cluster`: lists who exposes what in the cluster, from the journals there, whether or not a supervisor runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.connection import resolve
from kubectl_localize.cli.listing.claims import text_of
from kubectl_localize.cli.streams import write_with_sequences
from kubectl_localize.cli.terminal import Console, stderr_console
from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.exposing.claims import Claim, claims
from kubectl_localize.cluster.exposing.journal import GROUP_VERSION, parse_all
from kubectl_localize.cluster.exposing.values import MANAGED_BY, MANAGED_BY_LABEL
from kubectl_localize.errors import ForbiddenError, KubectlError, UnreachableError
from kubectl_localize.host.identity import here
from kubectl_localize.json_text import parse_json
from kubectl_localize.model import Connection

REQUEST_SECONDS = 10.0
OURS = f"{MANAGED_BY_LABEL}={MANAGED_BY}"

Json = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What a search of the cluster has found.

    Args:
        leases: those that may be journals.
        pods: the exposure pods; None if they may not be listed.
        only_in: the namespaces that were looked in; empty: all.
    """

    leases: list[Json]
    pods: list[Json] | None
    only_in: tuple[str, ...] = ()


def run(args: Arguments) -> int:
    """Print the claims, and what could not be read or looked at.

    Raises:
        LocalizeError: the cluster cannot be asked, or Leases may not be listed.
    """
    connection = resolve(args)
    found = _search(connection, args.namespaces)
    entries = parse_all(found.leases)
    identity = here()
    listed = claims(entries, found.pods, datetime.now(UTC), machine=identity.machine, uid=identity.uid)
    if args.words:
        listed = [claim for claim in listed if _matches(claim, args.words)]
    console = stderr_console(args.no_color)
    write_with_sequences(sys.stdout, text_of(listed, args.output or "table"))
    if args.output in ("", "table", "wide"):
        _remark(console, found, len(entries), is_empty=not listed)
    return 0


def _remark(console: Console, found: Found, readable: int, *, is_empty: bool) -> None:
    """Say on stderr what the table does not show."""
    if found.only_in:
        console.warning(f"only {', '.join(found.only_in)} was looked at: you may not list Leases in all namespaces")
    if len(found.leases) > readable:
        console.warning(f"{len(found.leases) - readable} Leases of another version of kubectl localize are left out")
    if found.pods is None:
        console.warning("you may not list pods, so it is not known what the failsafe did")
    if is_empty:
        console.line("nobody exposes anything")


def _search(connection: Connection, namespaces: Sequence[str]) -> Found:
    """Look in these namespaces; if there are none, in all of them, or in the context's if that is forbidden."""
    wanted, only_in = tuple(namespaces) or ("",), tuple[str, ...]()
    try:
        leases = [lease for namespace in wanted for lease in _list(connection, GROUP_VERSION, "leases", namespace)]
    except ForbiddenError:
        if namespaces:
            raise
        wanted = only_in = (connection.namespace,)
        leases = _list(connection, GROUP_VERSION, "leases", connection.namespace)
    pods: list[Json] | None = None
    try:
        if leases:
            pods = [pod for namespace in wanted for pod in _list(connection, "v1", "pods", namespace)]
    except ForbiddenError:
        pass
    else:
        pods = pods or []
    return Found(leases, pods, only_in)


def _list(connection: Connection, group_version: str, plural: str, namespace: str) -> list[Json]:
    """The objects of ours in a namespace (in all of them, if it is empty), by one kubectl.

    Raises:
        KubectlError: it fails; the subclass names the reason.
    """
    path = kubectl.raw_path(group_version, plural, namespace, {"labelSelector": OURS})
    argv = kubectl.get_raw(connection, path, timeout_seconds=REQUEST_SECONDS)
    environment = kubectl.environment(connection, os.environ)
    try:
        done = subprocess.run(argv, capture_output=True, env=environment, timeout=3 * REQUEST_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"kubectl did not answer within {3 * REQUEST_SECONDS:.0f} s") from error
    except OSError as error:
        raise KubectlError(f"{connection.kubectl} cannot be run: {error.strerror or error}") from error
    if done.returncode:
        raise kubectl.explain(done.stderr.decode(errors="replace").splitlines(), done.returncode)
    try:
        items: list[Json] = parse_json(done.stdout)["items"]
    except (ValueError, KeyError, TypeError) as error:
        raise KubectlError(f"the API server's answer to {path} is no list") from error
    return items


def _matches(claim: Claim, words: Sequence[str]) -> bool:
    """Whether one of the claim's Services is named: by `svc`, `ns/svc` or a glob of either."""
    from fnmatch import fnmatchcase

    names = {*claim.services, *(service.partition("/")[2] for service in claim.services)}
    return any(fnmatchcase(name, word) for name in names for word in words)
