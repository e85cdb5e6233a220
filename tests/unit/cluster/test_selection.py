"""Which Services are selected, which namespaces are listed for that, and what is said if there are none."""

from __future__ import annotations

import shlex

import pytest

from kubectl_localize.cli.arguments import parse
from kubectl_localize.cli.commands.start import selection
from kubectl_localize.cluster.selection import (
    find_unmatched,
    nothing_selected,
    said_unmatched,
    selected,
    watched_namespaces,
)
from kubectl_localize.label_selector import parse_selector
from kubectl_localize.model import Selection, Service, ServiceKey

ALL = ("shop/web", "shop/db", "try/web", "kube-system/kube-dns")


@pytest.mark.parametrize(
    ("wanted", "namespaces", "expected"),
    [
        (Selection(), (), ("shop/web", "shop/db", "try/web")),
        (Selection(all_namespaces=True), (), ALL),
        (Selection(namespaces=("kube-system",)), ("kube-system",), ("kube-system/kube-dns",)),
        (Selection(namespaces=("shop", "try", "shop")), ("shop", "try"), ("shop/web", "shop/db", "try/web")),
        (Selection(namespaces=("shop",), all_namespaces=True), (), ALL),
        (Selection(skip_namespaces=("sh*",)), (), ("try/web",)),
        (Selection(all_namespaces=True, skip_namespaces=("kube-system",)), (), ALL[:3]),
        (Selection(patterns=("web",)), ("shop",), ("shop/web",)),
        (Selection(patterns=("try/web",)), ("try",), ("try/web",)),
        (Selection(patterns=("web", "try/w*")), ("shop", "try"), ("shop/web", "try/web")),
        (Selection(patterns=("*/web",)), (), ("shop/web", "try/web")),
        (Selection(patterns=("web",), all_namespaces=True), (), ("shop/web", "try/web")),
        (Selection(patterns=("web",), namespaces=("try",)), ("try",), ("try/web",)),
        (Selection(patterns=("kube-system/*",)), ("kube-system",), ("kube-system/kube-dns",)),
        (Selection(exclude=("web",)), (), ("shop/db",)),
        (Selection(exclude=("shop/*",)), (), ("try/web",)),
        (Selection(patterns=("d?",), exclude=("db",)), ("shop",), ()),
    ],
)
def test_selection(wanted: Selection, namespaces: tuple[str, ...], expected: tuple[str, ...]) -> None:
    services = [Service(ServiceKey(*name.split("/")), "ClusterIP", False, True, ()) for name in ALL]
    found = tuple(str(service.key) for service in services if selected(service, wanted, "shop"))
    assert (watched_namespaces(wanted, "shop"), found) == (namespaces, expected)


KNOWN = [
    ServiceKey("shop", "web"),
    ServiceKey("shop", "carts"),
    ServiceKey("backoffice", "reports"),
    ServiceKey("backoffice", "dns"),
    ServiceKey("backoffice", "api"),
    ServiceKey("billing", "api"),
]


@pytest.mark.parametrize(
    ("patterns", "hint"),
    [
        (["webb"], "did you mean web?"),
        (["shop/webb"], "did you mean shop/web?"),
        (["shpo/web"], "did you mean shop/web?"),
        (["nothing-like-it", "report"], "did you mean backoffice/reports?"),
        (["reports"], "did you mean backoffice/reports?"),
        (["api"], "did you mean backoffice/api or billing/api?"),
        (["shop/reports"], "did you mean backoffice/reports?"),
    ],
)
def test_a_slip_of_a_services_name_has_the_right_one_as_a_hint(patterns: list[str], hint: str) -> None:
    error = nothing_selected(Selection(patterns=tuple(patterns)), "shop", "kind-dev", KNOWN)
    where = "in" if "/" in patterns[0] else "in namespace shop of"
    assert error.message == f"no Service matches {' '.join(patterns)} {where} context kind-dev"
    assert error.hint == hint


@pytest.mark.parametrize("wanted", [Selection(patterns=("backoffice/no-such",)), Selection(namespaces=("empty",))])
def test_what_is_like_no_service_has_the_list_as_a_hint(wanted: Selection) -> None:
    assert "`kubectl get services -A`" in nothing_selected(wanted, "shop", "kind-dev", KNOWN).hint


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("-n shop web wbe", ["no Service matches wbe in namespace shop; did you mean web?"]),
        ("web reports", ["no Service matches reports in namespace shop; did you mean backoffice/reports?"]),
        ("shop/web shop/wbe", ["no Service matches shop/wbe; did you mean shop/web?"]),
        ("web 'x*'", ["no Service matches x* in namespace shop"]),
        ("-n shop -n backoffice -n empty", ["there is no Service in namespace empty"]),
        ("-A --exclude wbe", ["--exclude wbe matches no Service; did you mean web?"]),
        ("--exclude 'legacy-*' --exclude web", []),
        ("--skip-namespace shpo", ["--skip-namespace shpo matches no namespace that has Services; did you mean shop?"]),
        ("-n shop --skip-namespace shpo --exclude other/web", []),
        ("-A web 'b*/*'", []),
    ],
)
def test_each_name_that_matches_nothing_is_said(line: str, sentences: list[str]) -> None:
    wanted = selection(parse(shlex.split(line)))
    unmatched = find_unmatched(wanted, "shop", KNOWN)
    assert [said_unmatched(name, wanted, "shop", KNOWN) for name in unmatched] == sentences


def test_labels_are_looked_at_on_this_machine() -> None:
    web = Service(ServiceKey("shop", "web"), "ClusterIP", False, True, (), labels=(("tier", "front"),))
    assert selected(web, Selection(), "shop", parse_selector("tier=front"))
    assert not selected(web, Selection(), "shop", parse_selector("tier notin (front)"))
