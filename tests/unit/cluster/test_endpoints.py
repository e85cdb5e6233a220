"""Which Services lose their last endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.exposing.endpoints import bereft, loss, published_early, unselected

GOING = ("cart-1", "cart-2")


def endpoint_slice(service: str, *pods: str, ready: bool | None = None) -> dict[str, Any]:
    """The slice of a Service; a pod called `-` is an address that belongs to none."""
    conditions = {} if ready is None else {"ready": ready}
    endpoints = [
        {"addresses": ["10.0.0.1"], "conditions": conditions}
        | ({} if pod == "-" else {"targetRef": {"kind": "Pod", "name": pod}})
        for pod in pods
    ]
    labels = {"kubernetes.io/service-name": service} if service else {}
    return {"metadata": {"name": f"{service}-x", "labels": labels}, "endpoints": endpoints}


@pytest.mark.parametrize(
    ("slices", "lost"),
    [
        ([], []),
        ([endpoint_slice("cart", "cart-1", "cart-2")], ["cart"]),
        ([endpoint_slice("two", "cart-2"), endpoint_slice("one", "cart-1")], ["one", "two"]),
        ([endpoint_slice("cart", "cart-1", "web-1")], []),
        ([endpoint_slice("cart", "cart-1"), endpoint_slice("cart", "web-1")], []),  # several slices of one Service
        ([endpoint_slice("cart", "cart-1"), endpoint_slice("cart", "web-1", ready=False)], ["cart"]),
        ([endpoint_slice("cart", "cart-1", ready=False)], []),  # it has none now
        ([endpoint_slice("cart", "cart-1", "-")], []),
        ([endpoint_slice("ours", "cart-1")], []),
        ([endpoint_slice("", "cart-1")], []),
        ([{"metadata": {"name": "x", "labels": {"kubernetes.io/service-name": "x"}}, "endpoints": None}], []),
    ],
)
def test_the_last_endpoint(slices: list[dict[str, Any]], lost: list[str]) -> None:
    assert bereft(slices, GOING, ["ours"]) == lost


def test_what_is_lost_in_a_sentence() -> None:
    many = loss([f"pg-{number}" for number in range(7)], ["StatefulSet shop/pg"], "shop")
    assert many.message.startswith(
        "shop/pg-0, shop/pg-1, shop/pg-2, shop/pg-3, shop/pg-4 and 2 more would lose their last"
    )
    assert many.forcible
    assert loss(["pg-0"], [], "shop").message.startswith("shop/pg-0 would lose its last endpoint: ")


def test_pods_that_go_though_nobody_asked_for_them() -> None:
    assert unselected(["StatefulSet shop/pg"], GOING, [*GOING, "web-1"]) == ""
    assert unselected(["StatefulSet shop/pg"], GOING, ["cart-1"]).startswith(
        "scaling StatefulSet shop/pg to zero also ends pod cart-2, which the Service does not select; --keep"
    )
    assert "pg-4 and 2 more, which" in unselected([], [f"pg-{number}" for number in range(7)], [])


def test_services_that_send_to_pods_that_are_not_ready() -> None:
    meta = {"namespace": "shop", "name": "peers"}
    assert (
        published_early(
            [{"metadata": meta, "spec": {}}, {"metadata": meta, "spec": {"publishNotReadyAddresses": False}}]
        )
        is None
    )
    blocker = published_early([{"metadata": meta, "spec": {"publishNotReadyAddresses": True}}])
    assert blocker is not None
    assert (blocker.message.startswith("shop/peers sends to pods that are not Ready"), blocker.forcible) == (True, True)
