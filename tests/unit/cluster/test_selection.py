"""Which Services are meant, and which namespaces are listed for that."""

from __future__ import annotations

import pytest

from kubectl_localize.cluster.selection import selected, watched_namespaces
from kubectl_localize.model import Selection, Service, ServiceKey

ALL = ("shop/web", "shop/db", "try/web", "kube-system/kube-dns")


@pytest.mark.parametrize(
    ("selection", "namespaces", "expected"),
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
def test_selection(selection: Selection, namespaces: tuple[str, ...], expected: tuple[str, ...]) -> None:
    services = [Service(ServiceKey(*name.split("/")), "ClusterIP", False, True, ()) for name in ALL]
    found = tuple(str(service.key) for service in services if selected(service, selection, "shop"))
    assert (watched_namespaces(selection, "shop"), found) == (namespaces, expected)
