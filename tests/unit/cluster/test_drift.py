"""Why no traffic comes to an exposure pod: every way in which others can change what leads there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubectl_localize.cluster.exposing.drift import drift
from kubectl_localize.model import ServiceKey
from tests.unit.cluster.exposure_plan import CART, carried

PORTS = (carried(8080, "http"),)
POD = {"metadata": {"name": "localize-cart-abc12", "labels": {"app": "cart", "tier": "web"}}}
PORT = {"port": 80, "targetPort": 8080}


def service(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "cart"},
        "spec": {"selector": {"app": "cart"}, "ports": [PORT], **spec},
    }


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"ports": [{"port": 80, "targetPort": "http"}]},
        {"ports": [PORT, {"port": 53, "targetPort": 53, "protocol": "UDP"}]},
        {"ports": [PORT, {"port": 8080}]},
        {"selector": {"app": "cart", "tier": "web"}},
        {"type": "NodePort"},
    ],
    ids=["unchanged", "by name", "UDP added", "another port to the same", "narrower", "another type"],
)
def test_what_still_leads_there_is_no_drift(spec: dict[str, Any]) -> None:
    assert drift(CART, PORTS, service(**spec), POD) == ""


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (None, "Service shop/cart is gone"),
        (service(selector={"app": "v2"}), "Service shop/cart selects app=v2, which pod localize-cart-abc12 does not"),
        (service(selector={"app": "cart", "v": "2"}), "Service shop/cart selects v=2, which pod localize-cart-abc12"),
        (service(selector={}), "Service shop/cart has no selector any more"),
        (service(selector=None), "Service shop/cart has no selector any more"),
        (
            service(type="ExternalName", externalName="elsewhere.example"),
            "Service shop/cart is an ExternalName for elsewhere.example now",
        ),
        (service(ports=[{"port": 80, "targetPort": 9000}]), "by port 80: Service shop/cart sends it to port 9000 now"),
        (service(ports=[{"port": 80}]), "by port 80: Service shop/cart sends it to port 80 now"),
        (service(ports=[{"port": 80, "targetPort": "web"}]), "by port 80: Service shop/cart sends it to port web now"),
        (service(ports=[{"port": 8000, "targetPort": 8080}]), "by port 80: Service shop/cart does not have it any"),
        (service(ports=[{**PORT, "protocol": "UDP"}]), "by port 80: Service shop/cart does not have it any more"),
        (service(ports=[PORT, {"port": 90}]), "by port 90: Service shop/cart got it after it was exposed"),
    ],
)
def test_what_leads_elsewhere_is_named(changed: dict[str, Any] | None, reason: str) -> None:
    said = drift(CART, PORTS, changed, POD)
    assert said.startswith("nothing comes here")
    assert reason in said


def test_a_pod_whose_labels_others_have_changed_gets_nothing() -> None:
    relabelled = {"metadata": {"name": "localize-cart-abc12", "labels": {"app": "mine"}}}
    assert "selects app=cart, which pod localize-cart-abc12 does not have" in drift(CART, PORTS, service(), relabelled)
    assert "selects app=cart" in drift(CART, PORTS, service(), {"metadata": {"name": "localize-cart-abc12"}})


def test_the_ports_of_another_service_on_the_same_pods_are_none_of_its_own() -> None:
    others = replace(carried(9090), services=((ServiceKey("shop", "metrics"), 9090),))
    assert drift(CART, (*PORTS, others), service(), POD) == ""
