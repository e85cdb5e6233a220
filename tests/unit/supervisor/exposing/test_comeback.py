"""What a way back has come to, in words."""

from __future__ import annotations

import pytest

from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.supervisor.exposing.comeback import Comeback, last_words, shortfall

CART = WorkloadRef("apps/v1", "Deployment", "shop", "cart")
SERVICE = WorkloadRef("v1", "Service", "shop", "cart")


def comeback(
    ready: int,
    wanted: int,
    *,
    awaited: bool = True,
    ref: WorkloadRef = CART,
    services: tuple[str, ...] = ("shop/cart",),
) -> Comeback:
    return Comeback(services, ref, ready, wanted, awaited)


def test_the_last_line_counts_the_pods_of_each_service() -> None:
    blue, green = comeback(2, 2, services=("shop/web",)), comeback(1, 1, services=("shop/web", "shop/green"))
    assert last_words([blue, green]) == ["shop/web is back, 3 of 3 Ready", "shop/green is back, 1 of 1 Ready"]
    assert last_words([]) == []


def test_what_was_not_waited_for_is_said_as_it_stands() -> None:
    running = comeback(1, 2, awaited=False, ref=SERVICE)  # one of its pods may have been broken all the time
    assert (last_words([running]), shortfall([running])) == (["shop/cart is back, 1 of 2 Ready"], None)
    assert last_words([comeback(0, 0, awaited=False, ref=SERVICE)]) == ["shop/cart is back"]


def test_what_is_not_ready_is_no_success() -> None:
    broken = comeback(0, 2)
    error = shortfall([comeback(1, 1, services=("shop/web",)), broken])
    assert error is not None
    assert (
        error.message == "shop/cart is put back, but not all of its pods are Ready (Deployment shop/cart: 0 of 2 Ready)"
    )
    assert error.hint == "`kubectl describe -n shop deployment/cart` says why"
    assert last_words([broken]) == []
    assert shortfall([comeback(2, 2)]) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (comeback(2, 2), True),
        (comeback(1, 2), True),  # one endpoint is enough to send to
        (comeback(0, 2), False),
        (comeback(0, 2, awaited=False), True),  # the failsafe has brought it back just now
        (comeback(0, 2, awaited=False, ref=SERVICE), False),  # it had no endpoint before, either
        (comeback(0, 0, awaited=False, ref=SERVICE), False),
    ],
)
def test_whether_its_services_are_about_to_have_endpoints(given: Comeback, expected: bool) -> None:
    assert given.will_serve is expected
