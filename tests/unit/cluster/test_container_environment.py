"""A container's environment as the kubelet makes it, with an API server that answers from a table."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from kubectl_localize.cluster.api import Api, Json
from kubectl_localize.cluster.exposing.environment import (
    Environment,
    container_environment,
    expand,
    pick_container,
    quantity,
    resolve,
)
from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.errors import ForbiddenError, NotFoundError
from tests.unit.cluster.samples import CONNECTION

NAMESPACE = "shop"
SETTINGS = {"LEVEL": "debug", "url": "http://cart", "1st": "digit"}


class Server:
    """ConfigMaps and Secrets by path, which paths were asked for, and how many requests there were at once."""

    def __init__(self, objects: Mapping[str, Json], forbidden: str = "") -> None:
        self._objects = {f"/api/v1/namespaces/{NAMESPACE}/{path}": content for path, content in objects.items()}
        self._forbidden = forbidden
        self._running = 0
        self.asked: list[str] = []
        self.at_once = 0

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float
    ) -> Json:
        self.asked.append(path.removeprefix(f"/api/v1/namespaces/{NAMESPACE}/"))
        self._running += 1
        self.at_once = max(self.at_once, self._running)
        await asyncio.sleep(0)
        self._running -= 1
        if self._forbidden and self._forbidden in path:
            raise ForbiddenError("secrets is forbidden: User alice cannot get it")
        if path not in self._objects:
            raise NotFoundError("not found")
        return self._objects[path]

    def environment(self, container: Json) -> Environment:
        api = Api(CONNECTION, self)
        return asyncio.run(container_environment(api, NAMESPACE, pod(container), container))


def pod(*containers: Json, **metadata: Any) -> Json:
    return {
        "metadata": {"name": "cart-0", "namespace": NAMESPACE, "uid": "u-1", "labels": {"app": "cart"}, **metadata},
        "spec": {"containers": list(containers), "nodeName": "node-1", "serviceAccountName": "cart"},
        "status": {
            "podIP": "10.1.0.5",
            "podIPs": [{"ip": "10.1.0.5"}, {"ip": "fd00::5"}],
            "hostIP": "192.168.0.2",
            "hostIPs": [{"ip": "192.168.0.2"}],
        },
    }


def container(*env: Json, **more: Any) -> Json:
    return {"name": "main", "env": list(env), **more}


def resolved(container: Json, objects: Mapping[tuple[str, str], Mapping[str, str] | None] | None = None) -> Environment:
    return resolve(pod(container), container, objects or {})


def config_map(data: Mapping[str, str]) -> Json:
    return {"kind": "ConfigMap", "data": dict(data), "binaryData": {"LOGO": "AAAA"}}


def secret(data: Mapping[str, bytes]) -> Json:
    return {"kind": "Secret", "data": {key: base64.b64encode(value).decode() for key, value in data.items()}}


def key_ref(kind: str, name: str, key: str, **more: bool) -> Json:
    return {"valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}


def field_ref(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def resource_ref(name: str, resource: str, **more: str) -> Json:
    return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, **more}}}


def test_config_maps_and_secrets_are_read_once_each_and_at_the_same_time() -> None:
    server = Server({"configmaps/settings": config_map(SETTINGS), "secrets/db": secret({"password": b"s3cret"})})
    result = server.environment(
        container(
            {"name": "PASSWORD", **key_ref("secret", "db", "password")},
            {"name": "LEVEL_AGAIN", **key_ref("configMap", "settings", "LEVEL")},
            envFrom=[
                {"configMapRef": {"name": "settings"}},
                {"prefix": "DB_", "secretRef": {"name": "db"}},
                {"prefix": "P_", "configMapRef": {"name": "settings"}},
            ],
        )
    )
    assert dict(result.variables) == {
        **SETTINGS,
        **{f"P_{key}": value for key, value in SETTINGS.items()},
        "DB_password": "s3cret",
        "PASSWORD": "s3cret",
        "LEVEL_AGAIN": "debug",
    }
    assert result.unresolved == ()
    assert sorted(server.asked) == ["configmaps/settings", "secrets/db"]
    assert server.at_once == 2
    assert "s3cret" not in repr(result)


def test_what_is_not_there() -> None:
    result = Server({"secrets/db": secret({})}).environment(
        container(
            {"name": "A", **key_ref("secret", "db", "password")},
            {"name": "B", **key_ref("secret", "db", "password", optional=True)},
            {"name": "C", **key_ref("configMap", "none", "key")},
            {"name": "D", **key_ref("configMap", "none", "key", optional=True)},
            {"name": "E", "value": "$(A)-$(B)"},
            envFrom=[{"secretRef": {"name": "gone"}}, {"configMapRef": {"name": "never", "optional": True}}],
        )
    )
    assert result.variables == ()
    assert result.unresolved == (
        "envFrom: there is no Secret gone",
        "A: there is no Secret db with a key password",
        "C: there is no ConfigMap none with a key key",
        "E: $(A) has no value here",
    )


def test_what_may_not_be_read_is_an_error() -> None:
    server = Server({}, forbidden="/secrets/")
    with pytest.raises(ForbiddenError, match="alice cannot get it"):
        server.environment(container(envFrom=[{"secretRef": {"name": "db", "optional": True}}]))


def test_later_sources_win_and_an_optional_one_that_is_not_there_leaves_the_earlier() -> None:
    maps = {("configmaps", "one"): {"A": "1", "B": "1", "C": "1", "D": "1"}, ("configmaps", "two"): {"B": "2"}}
    result = resolved(
        container(
            {"name": "C", "value": "3"},
            {"name": "D", **key_ref("configMap", "two", "none", optional=True)},
            {"name": "EMPTY"},
            envFrom=[{"configMapRef": {"name": "one"}}, {"configMapRef": {"name": "two"}}],
        ),
        maps,
    )
    assert dict(result.variables) == {"A": "1", "B": "2", "C": "3", "D": "1", "EMPTY": ""}


def test_one_that_is_not_there_does_not_leave_an_earlier_value() -> None:
    result = resolved(
        container(
            {"name": "A", **key_ref("secret", "db", "none")},
            {"name": "B", "value": "$(A)"},
            envFrom=[{"secretRef": {"name": "db"}}],
        ),
        {("secrets", "db"): {"A": "old"}},
    )
    assert result == Environment((), ("A: there is no Secret db with a key none", "B: $(A) has no value here"))


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "a"),
        ("x$(A)$(B)y", "xaby"),
        ("$(A)$$(A)", "a$(A)"),
        ("$$$(A)", "$a"),
        ("$$$$(A)", "$$(A)"),
        ("$(NONE)", "$(NONE)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$($(A))", "$($(A))"),
        ("$$", "$"),
        ("", ""),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    assert expand(text, {"A": "a", "B": "b"}.get) == expanded


def test_references_see_what_came_before_and_only_that() -> None:
    result = resolved(
        container(
            {"name": "EARLY", "value": "$(LATE)"},
            {"name": "LATE", "value": "$(HOST):80"},
            {"name": "TWICE", "value": "$(LATE)/$(EARLY)"},
            {"name": "HOST", "value": "new"},
            envFrom=[{"configMapRef": {"name": "one"}}],
        ),
        {("configmaps", "one"): {"HOST": "old", "RAW": "$(HOST)"}},
    )
    assert dict(result.variables) == {
        "EARLY": "$(LATE)", "LATE": "old:80", "TWICE": "old:80/$(LATE)", "HOST": "new", "RAW": "$(HOST)",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["WEB_SERVICE_HOST", "WEB_SERVICE_PORT_HTTP", "WEB_PORT", "WEB_PORT_80_TCP_ADDR"])
def test_a_services_variable_has_no_value_here(name: str) -> None:
    result = resolved(
        container({"name": "URL", "value": f"http://$({name})"}, {"name": "SHOWN", "value": f"$$({name})"})
    )
    assert dict(result.variables) == {"SHOWN": f"$({name})"}
    assert result.unresolved == (f"URL: $({name}) has no value here",)
    known = resolved(container({"name": name, "value": "1"}, {"name": "URL", "value": f"http://$({name})"}))
    assert dict(known.variables)["URL"] == "http://1"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "cart-0"),
        ("metadata.namespace", NAMESPACE),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "cart"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['example.com/a.b']", ""),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "cart"),
        ("status.podIP", "10.1.0.5"),
        ("status.podIPs", "10.1.0.5,fd00::5"),
        ("status.hostIP", "192.168.0.2"),
        ("status.hostIPs", "192.168.0.2"),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert resolved(container(field_ref("X", path))) == Environment((("X", value),))


def test_annotations_are_fields_too() -> None:
    main = container(field_ref("X", "metadata.annotations['example.com/a.b']"))
    assert resolve(pod(main, annotations={"example.com/a.b": "c"}), main, {}).variables == (("X", "c"),)


def test_fields_that_a_pod_has_not() -> None:
    main = container(field_ref("IP", "status.podIP"), field_ref("ODD", "spec.containers"))
    result = resolve({**pod(main), "status": {}}, main, {})
    assert result == Environment((), ("IP: the pod has no status.podIP", "ODD: the pod has no spec.containers"))


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "0"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory"}, "134217728"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "128"),
        ({"resource": "limits.memory", "divisor": "1M"}, "135"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "requests.memory", "divisor": "1Mi"}, "128"),
        ({"resource": "requests.ephemeral-storage"}, "0"),
        ({"resource": "limits.cpu", "containerName": "side"}, "4"),
    ],
)
def test_resources(reference: dict[str, str], value: str) -> None:
    limits = {"limits": {"cpu": "1500m", "memory": "128Mi"}, "requests": {"cpu": "250m"}}
    main = container(resource_ref("X", **reference), resources=limits)
    side = {"name": "side", "resources": {"limits": {"cpu": "4"}}}
    assert resolve(pod(main, side), main, {}).variables == (("X", value),)


def test_without_a_limit_the_node_decides() -> None:
    result = resolved(container(resource_ref("X", "limits.memory")))
    assert result == Environment((), ("X: container main has no limit for memory, so its node's capacity would count",))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", 1),
        ("1.5", Fraction(3, 2)),
        ("250m", Fraction(1, 4)),
        ("7u", Fraction(7, 10**6)),
        ("100n", Fraction(1, 10**7)),
        ("2k", 2000),
        ("1Ki", 1024),
        ("3Gi", 3 * 2**30),
        ("1e3", 1000),
        ("1E", 10**18),
    ],
)
def test_quantity(text: str, amount: Fraction | int) -> None:
    assert quantity(text) == amount


def test_no_quantity() -> None:
    with pytest.raises(ValueError, match="x"):
        quantity("x")


def test_what_cannot_be_resolved_here() -> None:
    result = resolved(
        container(
            {"name": "BLOB", **key_ref("secret", "blob", "key")},
            {"name": "FILE", "valueFrom": {"fileKeyRef": {"path": "a"}}},
        ),
        {("secrets", "blob"): {"key": "a\0b"}},
    )
    assert result.variables == ()
    assert result.unresolved == (
        "FILE: fileKeyRef cannot be resolved here",
        "BLOB: its value is binary, and an environment variable cannot hold that",
    )


def test_bytes_of_a_secret_that_are_no_text_survive() -> None:
    server = Server({"secrets/db": secret({"key": b"\xff\xfe"})})
    result = server.environment(container({"name": "X", **key_ref("secret", "db", "key")}))
    assert result.variables[0][1].encode(errors="surrogateescape") == b"\xff\xfe"


def carried(number: int, *names: str, asked: bool = True) -> CarriedPort:
    return CarriedPort(number, names, "127.0.0.1", number, (), asked)


@pytest.mark.parametrize(
    ("ports", "annotations", "name"),
    [
        ([carried(9090)], {}, "metrics"),
        ([carried(1, "metrics")], {}, "metrics"),
        ([carried(53)], {}, "proxy"),
        ([carried(9090, asked=False), carried(8080)], {}, "web"),
        ([carried(7000), carried(9090)], {}, "metrics"),
        ([carried(7000)], {"kubectl.kubernetes.io/default-container": "web"}, "web"),
        ([carried(9090)], {"kubectl.kubernetes.io/default-container": "web"}, "metrics"),
        ([carried(7000)], {"kubectl.kubernetes.io/default-container": "none"}, "proxy"),
        ([], {}, "proxy"),
    ],
)
def test_pick_container(ports: list[CarriedPort], annotations: dict[str, str], name: str) -> None:
    result = pod(
        {"name": "proxy"},
        {"name": "web", "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}]},
        {"name": "metrics", "ports": [{"containerPort": 9090, "name": "metrics"}]},
        annotations=annotations,
    )
    assert pick_container(result, ports)["name"] == name


@pytest.mark.parametrize("name", ["", "A=B", "A\0B"])
def test_a_name_that_no_process_can_have(name: str) -> None:
    environment = resolved(container({"name": name, "value": "1"}, {"name": "GOOD", "value": "2"}))
    assert environment.variables == (("GOOD", "2"),)
    assert environment.unresolved == (f"{name}: no process can have a variable of that name",)
