"""How people write a Service, and what is said if they write something else."""

from __future__ import annotations

import pytest

from kubectl_localize.cli.arguments import parse
from kubectl_localize.cli.object_names import ObjectName, parse_object, service_name, service_pattern
from kubectl_localize.errors import UsageError


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("cart", ObjectName("", "", "cart")),
        ("shop/cart", ObjectName("shop", "", "cart")),
        ("svc/cart", ObjectName("", "Service", "cart")),
        ("services/cart", ObjectName("", "Service", "cart")),
        ("deploy/worker", ObjectName("", "Deployment", "worker")),
        ("deployment.apps/worker", ObjectName("", "Deployment", "worker")),
        ("shop/sts/db", ObjectName("shop", "StatefulSet", "db")),
        ("deploy/svc/worker", ObjectName("deploy", "Service", "worker")),
    ],
)
def test_an_object_is_written_namespace_kind_name(text: str, written: ObjectName) -> None:
    assert parse_object(text) == written


@pytest.mark.parametrize(
    ("text", "name"), [("web", "web"), ("shop/web", "shop/web"), ("svc/web", "web"), ("shop/service/web", "shop/web")]
)
def test_a_service_with_and_without_its_kind(text: str, name: str) -> None:
    assert service_name(text) == service_pattern(text) == name


@pytest.mark.parametrize(("text", "pattern"), [("svc/w*", "w*"), ("*/web", "*/web"), ("t-[ab]/svc/*", "t-[ab]/*")])
def test_a_glob_may_have_a_kind_as_well(text: str, pattern: str) -> None:
    assert service_pattern(text) == pattern
    with pytest.raises(UsageError):
        service_name(text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("deploy/web", "deploy/web is a Deployment, not a Service", "name the Service that leads to it, such as web"),
        ("ing/web", "ing/web is an Ingress, not a Service", "name the Service"),
        ("po/web-0", "po/web-0 is a pod, not a Service", "`kubectl port-forward po/web-0` reaches a single pod"),
        ("web.shop", "'web.shop' is not the name of a Service", "write shop/web"),
        ("http://web.shop.svc:8080/x", "is not the name of a Service", "write shop/web"),
        ("web.shop.svc.cluster.local", "is not the name of a Service", "write shop/web"),
        ("web:80", "is not the name of a Service", "write web: all ports of a Service are there"),
        ("shop/web:http", "is not the name of a Service", "write shop/web: all ports"),
        ("shop/", "is not the name of a Service", "for a whole namespace write -n shop"),
        ("Web", "is not the name of a Service", "names are in lower case: web"),
        ("a/b/c", "is not the name of a Service", "write svc, ns/svc or a glob"),
        ("", "'' is not the name of a Service", "write svc, ns/svc or a glob"),
        ("/web", "is not the name of a Service", "write svc, ns/svc or a glob"),
    ],
)
def test_what_is_no_service_has_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        service_pattern(text)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("svc/web", ("web",)),
        ("ls shop/svc/web", ("shop/web",)),
        ("stop service/web", ("web",)),
        ("expose svc/web", ("web",)),
        ("svc", ("svc",)),
    ],
)
def test_every_command_takes_it(line: str, words: tuple[str, ...]) -> None:
    assert parse(line.split()).words == words


def test_a_map_and_an_exclusion_take_it_too() -> None:
    assert parse(["expose", "shop/web", "shop/cart", "--map", "shop/svc/web=3000"]).maps[0].service == "shop/web"
    assert parse(["--exclude", "svc/web"]).exclude == ("web",)


@pytest.mark.parametrize("line", ["svc web", "ls service web", "expose svc web", "stop services web api"])
def test_a_kind_and_a_name_are_not_two_words(line: str) -> None:
    with pytest.raises(UsageError, match="are two names") as caught:
        parse(line.split())
    assert caught.value.hint.endswith("/web, or only web")


def test_version_is_a_flag_as_well() -> None:
    args = parse(["--version"])
    assert (args.command, args.client) == ("version", True)
