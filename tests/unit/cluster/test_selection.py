"""Which Services are selected, which namespaces are listed for that, and what is said if there are none."""

from __future__ import annotations

import shlex

import pytest

from kubectl_localize.cli.arguments import parse
from kubectl_localize.cli.commands.start import selection
from kubectl_localize.cluster.selection import describe, nothing_selected, selected, watched_namespaces
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
    ServiceKey("shop", "api"),
    ServiceKey("backoffice", "reports"),
    ServiceKey("backoffice", "dns"),
]


@pytest.mark.parametrize(
    "line",
    [
        "kubectl localize",
        "kubectl localize -n shop -n backoffice web 'api*'",
        "kubectl localize -A -l 'app in (a, b)' --skip-namespace=try --exclude=db",
    ],
)
def test_a_selection_in_words_is_the_command_that_asks_for_it(line: str) -> None:
    args = parse(shlex.split(line)[2:])
    assert describe(selection(args)) == line


@pytest.mark.parametrize(
    ("patterns", "hint"),
    [
        (["webb"], "did you mean web?"),
        (["shop/webb"], "did you mean shop/web?"),
        (["shpo/web"], "did you mean shop/web?"),
        (["nothing-like-it", "report"], "did you mean reports?"),
    ],
)
def test_a_slip_of_a_services_name_has_the_right_one_as_a_hint(patterns: list[str], hint: str) -> None:
    error = nothing_selected(Selection(patterns=tuple(patterns)), "kind-dev", KNOWN)
    assert error.message.startswith(f"no Service matches {' '.join(patterns)} in context kind-dev")
    assert error.hint == hint


@pytest.mark.parametrize("wanted", [Selection(patterns=("backoffice/no-such",)), Selection(namespaces=("empty",))])
def test_what_is_like_no_service_has_the_list_as_a_hint(wanted: Selection) -> None:
    assert "`kubectl get services -A`" in nothing_selected(wanted, "kind-dev", KNOWN).hint
