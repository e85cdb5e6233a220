"""The document of `ls`: checked, merged, filtered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubectl_localize import __version__
from kubectl_localize.cli.listing.document import DocumentError, Filter, merge, notes, parse_document
from kubectl_localize.cli.listing.formats import names
from kubectl_localize.cli.listing.label_selector import parse_selector
from tests.unit.cli.samples import document, forward, port, webshop


def test_a_good_one_comes_through_whole() -> None:
    good = webshop()
    good["items"][0]["fieldOfALaterVersion"] = {"x": 1}
    assert parse_document(json.dumps(good)) == good


def _broken(path: list[Any], value: Any) -> str:
    found: Any = webshop()
    *way, last = path
    inner = found
    for step in way:
        inner = inner[step]
    inner[last] = value
    return json.dumps(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ('{"apiVersion": "localize/v1"', "Expecting"),
        ("[]", "no document"),
        (_broken(["apiVersion"], "localize/v2"), "its apiVersion is 'localize/v2', not 'localize/v1'"),
        (_broken(["items"], None), "document has no items"),
        (_broken(["items"], {}), "items is no list"),
        (_broken(["items", 0], 7), "items is no object"),
        (_broken(["items", 0, "name"], None), "items has no name"),
        (_broken(["items", 0, "name"], 7), "name is 7"),
        (_broken(["items", 0, "ports", 0, "port"], "80"), "port is '80'"),
        (_broken(["items", 0, "hostnames"], [1]), "hostnames is 1"),
        (_broken(["supervisors", 0, "pid"], "x"), "pid is 'x'"),
    ],
)
def test_a_bad_one_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_document(text)


def test_null_is_like_absent_where_a_field_may_be() -> None:
    text = _broken(["items", 0, "ports"], None)
    assert parse_document(text)["items"][0]["ports"] is None


def test_document_error_is_a_value_error() -> None:
    assert issubclass(DocumentError, ValueError)


def test_merge_sorts_by_context_namespace_name() -> None:
    one = document(forward("b", "a"), forward("a", "z"), context="prod", pid=2)
    other = document(forward("c", "c"), context="dev", pid=1)
    merged = merge([one, other])
    assert [(i["context"], i["namespace"], i["name"]) for i in merged["items"]] == [
        ("dev", "c", "c"), ("prod", "a", "z"), ("prod", "b", "a"),
    ]  # fmt: skip
    assert [s["pid"] for s in merged["supervisors"]] == [1, 2]
    assert merge([]) == {"apiVersion": "localize/v1", "kind": "List", "supervisors": [], "items": []}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), ["a/db", "a/web", "b/web"]),
        (Filter(patterns=("web",)), ["a/web", "b/web"]),
        (Filter(patterns=("a/web",)), ["a/web"]),
        (Filter(patterns=("a/*", "b/w?b")), ["a/db", "a/web", "b/web"]),
        (Filter(patterns=("d*",)), ["a/db"]),
        (Filter(namespaces=("b", "c")), ["b/web"]),
        (Filter(namespaces=("b",), patterns=("db",)), []),
        (Filter(requirements=parse_selector("tier=front")), ["b/web"]),
        (Filter(requirements=parse_selector("tier!=front")), ["a/db", "a/web"]),
        (Filter(context="kind-dev"), ["a/db", "a/web", "b/web"]),
        (Filter(context="other"), []),
    ],
)
def test_filter(wanted: Filter, found: list[str]) -> None:
    full = document(
        forward("a", "db", port(80, 80)), forward("a", "web"), forward("b", "web", labels={"tier": "front"})
    )
    filtered = wanted.apply(full)
    assert names(filtered) == found
    assert bool(filtered["supervisors"]) == (wanted.context != "other")


def test_notes() -> None:
    one = document(hosts="denied", warnings=["port 80 is taken"])
    assert notes(one, __version__) == [
        "port 80 is taken", "names are not in the hosts file: it may not be written; start again with privileges",
    ]  # fmt: skip
    two = merge([one, document(context="prod", pid=9, warnings=["x"])])
    assert notes(two, __version__)[-1] == "context prod: x"
    assert notes(document(hosts="off"), __version__) == []


def test_a_supervisor_of_another_version_is_named() -> None:
    (said,) = notes(document(pid=9), "9.0.0")
    assert said.startswith(
        f"the supervisor (pid 9) is of version {__version__}, this is 9.0.0; `kubectl localize stop`"
    )
    unknown = document()
    del unknown["supervisors"][0]["version"]
    assert notes(unknown, "9.0.0") == []
