"""Reads journals from the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing import journal
from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.exposing.values import MANAGED_BY, MANAGED_BY_LABEL

Json = dict[str, Any]


async def journal_at(api: Api, path: str) -> Entry | None:
    """The journal in a Lease; None where there is no such Lease, or it is no journal; raises KubectlError."""
    lease = await api.find(path)
    return journal.parse(lease) if lease is not None else None


async def journals(api: Api, namespaces: Sequence[str]) -> list[Entry]:
    """The journals in some namespaces; in all of them where none is named.

    Raises: KubectlError where they cannot be listed.
    """
    return parse_all(await candidates(api, namespaces or [""]))


async def candidates(api: Api, namespaces: Sequence[str]) -> list[Json]:
    """The Leases in some namespaces (all of them: an empty name) that may be journals; raises KubectlError."""
    selector = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    lists = await asyncio.gather(
        *(api.items(journal.GROUP_VERSION, "leases", namespace, selector) for namespace in namespaces)
    )
    return [lease for found in lists for lease in found]


def parse_all(found: Sequence[Json]) -> list[Entry]:
    """The journals among Leases, those that can be read."""
    entries = (journal.parse(lease) for lease in found)
    return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.path)


def sessions(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Journals by their session, each of which is undone as one."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(f"{entry.namespace}/{entry.session}", []).append(entry)
    return list(found.values())
