"""The journal as a Lease: what is written is what is read, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cluster.exposing.journal import (
    ANNOTATION,
    SERVICE,
    Entry,
    Owner,
    by_hand,
    collection,
    describe,
    lease_name,
    manifest,
    parse,
    renewed,
)
from kubectl_localize.cluster.exposing.values import SCALABLE, WorkloadRef

SINCE = datetime(2026, 1, 31, 12, 30, 15, 123456, UTC)
WORKLOAD = {"api_version": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "cart"}
OWNER = Owner("ada", "ada@laptop", "5f0c", 1000, 4711, 1769862615.25, "pid:[4026531836]")
ENTRY = Entry(
    OWNER, "abc12", WorkloadRef("apps/v1", "Deployment", "shop", "cart"), "5d5c8ea1", 2, ("shop/cart",), SINCE, SINCE
)

TEXT = st.text(max_size=20)
NAMES = st.text("ab9", min_size=1, max_size=30)
SELECTORS = st.dictionaries(NAMES, NAMES, min_size=1).map(lambda selector: tuple(sorted(selector.items())))
REFS = st.builds(
    lambda kind, namespace, name: WorkloadRef(kind[0], kind[1], namespace, name),
    st.sampled_from([*sorted(SCALABLE), SERVICE]),
    NAMES,
    NAMES,
)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
ENTRIES = st.builds(
    Entry,
    owner=st.builds(Owner, NAMES, NAMES, TEXT, st.integers(0), st.integers(1), st.floats(0, 1e11), TEXT),
    session=NAMES,
    workload=REFS,
    uid=TEXT,
    replicas=st.none() | st.integers(0, 2**31 - 1),
    services=st.lists(st.tuples(NAMES, NAMES).map("/".join), min_size=1).map(tuple),
    since=MOMENTS,
    renewed=MOMENTS,
)
SWITCHED = st.builds(
    lambda entry, name, selector: replace(
        entry, workload=WorkloadRef("v1", "Service", "shop", name), replicas=None, selector=selector
    ),
    ENTRIES,
    NAMES,
    SELECTORS,
)


def made(entry: Entry, **meta: str) -> dict[str, Any]:
    """The Lease as it comes back from the API server."""
    lease = json.loads(json.dumps(manifest(entry)))
    lease["metadata"] |= meta
    return dict(lease)


@given(ENTRIES | SWITCHED)
def test_what_is_written_is_read(entry: Entry) -> None:
    assert parse(made(entry)) == entry
    there = parse(made(entry, uid="77", resourceVersion="4947"))
    assert there == replace(entry, lease_uid="77", version="4947")
    assert there is not None
    given = manifest(there)["metadata"]
    assert (given["uid"], given["resourceVersion"]) == ("77", "4947"), "so that it is replaced, and never made anew"


def test_what_colleagues_see_of_it() -> None:
    lease = made(ENTRY)
    assert (lease["apiVersion"], lease["kind"]) == ("coordination.k8s.io/v1", "Lease")
    assert lease["metadata"]["name"] == "localize-deployment-cart"
    assert lease["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "kubectl-localize", "kubectl-localize/session": "abc12"
    }  # fmt: skip
    assert "resourceVersion" not in lease["metadata"]
    assert lease["spec"] == {
        "holderIdentity": "ada (ada@laptop)",
        "leaseDurationSeconds": 60,
        "acquireTime": "2026-01-31T12:30:15.123456Z",
        "renewTime": "2026-01-31T12:30:15.123456Z",
    }
    assert str(replace(OWNER, user="")) == "ada@laptop"
    assert ENTRY.path == "/apis/coordination.k8s.io/v1/namespaces/shop/leases/localize-deployment-cart"
    assert collection("") == "/apis/coordination.k8s.io/v1/leases"


def test_a_renewed_one_differs_in_its_time_only() -> None:
    later = SINCE + timedelta(seconds=20)
    assert renewed(ENTRY, later) == replace(ENTRY, renewed=later)
    assert made(renewed(ENTRY, later))["spec"]["renewTime"] == "2026-01-31T12:30:35.123456Z"
    assert describe(ENTRY, later) == "ada (ada@laptop), since 2026-01-31 12:30 UTC, last seen 20 s ago"
    assert describe(ENTRY, SINCE - timedelta(seconds=5)).endswith("last seen 0 s ago"), "the clocks differ"


def changed(content: dict[str, Any] | None = None, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """A Lease with something else in it."""
    lease = made(ENTRY)
    there = json.loads(lease["metadata"]["annotations"][ANNOTATION])
    lease["metadata"]["annotations"][ANNOTATION] = json.dumps({**there, **(content or {})})
    lease["spec"] |= spec or {}
    return lease


def switched(content: dict[str, Any]) -> dict[str, Any]:
    """The journal of a switched Service with something else in it."""
    service = {"api_version": "v1", "kind": "Service", "namespace": "shop", "name": "cart"}
    return changed({"version": 2, "workload": service, "replicas": None, "selector": {"app": "cart"}, **content})


def owned(**changes: object) -> dict[str, Any]:
    """A Lease whose owner says something else."""
    return changed({"owner": {**json.loads(made(ENTRY)["metadata"]["annotations"][ANNOTATION])["owner"], **changes}})


@pytest.mark.parametrize(
    "lease",
    [
        {"metadata": {"name": "node", "namespace": "kube-node-lease"}, "spec": {"holderIdentity": "node"}},
        {"metadata": {"annotations": None}},
        {**made(ENTRY), "spec": {}},
        {**made(ENTRY), "metadata": {"namespace": "shop", "annotations": {ANNOTATION: "no JSON"}}},
        {**made(ENTRY), "metadata": {"namespace": "shop", "annotations": {ANNOTATION: "[]"}}},
        changed({"version": 3}),
        changed({"version": 2}),
        switched({"selector": None}),
        switched({"selector": {"app": 5}}),
        switched({"selector": {"app": "$(curl example.com)"}}),
        switched({"selector": {"app;curl example.com": "web"}}),
        switched({"workload": WORKLOAD}),
        changed({"owner": {"user": "ada"}}),
        owned(shoe=41),
        owned(pid="x"),
        owned(pid=4.5),
        owned(pid=True),
        owned(started="yesterday"),
        owned(started=None),
        owned(uid="1000"),
        owned(machine=5),
        owned(pid_namespace=None),
        owned(user=["ada"]),
        owned(login={}),
        changed({"uid": 5}),
        changed({"services": [5]}),
        changed({"services": 5}),
        changed({"services": None}),
        changed({"workload": None}),
        changed({"workload": {**WORKLOAD, "name": "../../secrets/x"}}),
        changed({"workload": {**WORKLOAD, "name": "cart; curl example.com"}}),
        changed({"workload": {**WORKLOAD, "kind": "Node"}}),
        changed({"session": "abc12,a=b"}),
        changed({"session": 5}),
        changed({"replicas": "2; curl example.com"}),
        changed({"replicas": -1}),
        changed({"replicas": True}),
        changed(spec={"renewTime": None}),
        changed(spec={"renewTime": "yesterday"}),
    ],
)
def test_what_is_no_journal_of_a_version_that_we_know(lease: dict[str, Any]) -> None:
    assert parse(lease) is None
    assert parse(changed()) == ENTRY


def test_a_journal_says_what_a_switched_service_selected_by() -> None:
    entry = parse(switched({}))
    assert entry is not None
    assert (entry.selector, entry.name) == ((("app", "cart"),), "localize-service-cart")
    by_itself = "kubectl set selector -n shop service/cart app=cart && kubectl delete -n shop pod,secret,lease -l "
    assert by_hand([entry]).startswith(by_itself)
    assert json.loads(made(ENTRY)["metadata"]["annotations"][ANNOTATION])["version"] == 1, "what older releases read"


def test_a_journal_speaks_of_its_own_namespace_only() -> None:
    assert parse(changed({"workload": {**WORKLOAD, "namespace": "other"}})) == ENTRY


LONG = st.builds(lambda length, end: "a" * length + end, st.integers(230, 250), st.text("bc", min_size=1, max_size=3))


@given(st.sets(st.tuples(st.sampled_from(["Deployment", "StatefulSet"]), LONG)))
def test_names_are_distinct_and_no_longer_than_kubernetes_takes(refs: set[tuple[str, str]]) -> None:
    names = [lease_name(WorkloadRef("apps/v1", kind, "shop", name)) for kind, name in refs]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 253 for name in names)


def test_long_names_that_differ_only_at_their_end() -> None:
    first, second = (lease_name(WorkloadRef("apps/v1", "Deployment", "shop", "a" * 252 + end)) for end in "bc")
    assert first != second
    assert len(first) == len(second) == 253
