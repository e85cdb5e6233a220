"""Where journals are looked for, and what may be said of those that were not seen."""

from __future__ import annotations

import asyncio

import pytest

from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.errors import UnreachableError
from kubectl_localize.supervisor.exposing.search import Found, find, find_in
from tests.unit.cluster.samples import CLOSED_PORT
from tests.unit.fakes.cluster import Cluster
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import entry, write, write_unreadable

EVERYWHERE = "/apis/coordination.k8s.io/v1/leases"


def elsewhere(name: str) -> Entry:
    return entry(workload=WorkloadRef("apps/v1", "Deployment", name, "cart"))


def three_namespaces() -> Cluster:
    cluster = Cluster()
    for one in (entry(), elsewhere("other"), elsewhere("secret")):
        write(cluster, one)
    return cluster


def test_the_whole_cluster_where_it_may_be_listed() -> None:
    found = asyncio.run(find(three_namespaces().api, ["shop"]))
    assert [one.namespace for one in found.entries] == ["other", "secret", "shop"]
    assert found.namespaces is None


def test_else_the_namespaces_that_may_be_listed_each_once() -> None:
    cluster = three_namespaces()
    asked: list[str] = []

    def fails(now: float, method: str, path: str) -> str:
        asked.append(path)
        return FORBIDDEN if path == EVERYWHERE or "/secret/" in path else ""

    cluster.fails = fails
    found = asyncio.run(find(cluster.api, ["secret", "shop", "nowhere", "shop"]))
    assert [one.namespace for one in found.entries] == ["shop"]
    assert found.namespaces == frozenset({"shop", "nowhere"})
    assert len(asked) == 4
    assert asyncio.run(find_in(cluster.api, ["secret", "shop", "nowhere"])) == found


def test_a_server_that_does_not_answer_is_an_error() -> None:
    cluster = three_namespaces()
    cluster.fails = lambda now, method, path: CLOSED_PORT
    for look in (find, find_in):
        with pytest.raises(UnreachableError):
            asyncio.run(look(cluster.api, ["shop"]))


def test_a_lease_that_cannot_be_read_is_seen_all_the_same() -> None:
    cluster = three_namespaces()
    write_unreadable(cluster, entry("web", session="xyz98"))
    found = asyncio.run(find(cluster.api, []))
    assert {one.session for one in found.entries} == {"abc12"}
    assert found.unread == {"xyz98"}


def test_only_what_was_looked_for_and_not_seen_is_gone() -> None:
    found = Found((entry(),), frozenset({"xyz98"}), frozenset({"shop"}))
    assert found.is_gone("none1", "shop")
    assert not found.is_gone("none1", "secret"), "nobody has looked there"
    assert not found.is_gone("abc12", "shop")
    assert not found.is_gone("xyz98", "shop"), "there is something of it"
    assert Found((), frozenset(), None).is_gone("none1", "secret"), "they have looked everywhere"


def test_what_is_in_doubt_is_said_with_what_to_do() -> None:
    found = Found((entry(),), frozenset({"xyz98"}), frozenset({"shop"}))
    hidden, unread = found.doubts({"none1": "secret", "abc12": "shop", "xyz98": "shop", "gone1": "shop"})
    assert hidden.message == (
        "the exposure none1 in namespace secret may still be there: you may not list Leases there"
    )  # fmt: skip
    assert "`kubectl get leases -n secret -l kubectl-localize/session=none1 -o yaml`" in hidden.hint
    assert unread.message == (
        "the exposure xyz98 in namespace shop may still be there: this version cannot read its journal"
    )
    assert "`kubectl get leases -n shop -l kubectl-localize/session=xyz98 -o yaml`" in unread.hint
