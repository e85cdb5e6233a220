"""What people type: names that match nothing, kinds before names, other tools' commands."""

from __future__ import annotations

import pytest

from tests.real.product import Product, assert_fails, warnings
from tests.real.shop import Shop


def test_a_name_that_matches_nothing_is_said_and_the_others_are_forwarded(shop: Shop, product: Product) -> None:
    done = product.detach("-n", shop.other, "svc/web", "lnoe")
    assert warnings(done) == [f"no Service matches lnoe in namespace {shop.other}; did you mean lone?"]
    assert set(product.items()) == {f"{shop.other}/web"}
    assert done.stderr.splitlines()[-1].startswith("try: curl http://web")
    url = done.stderr.split()[-1]
    assert product.fetch_all(url)[0].startswith("web-")
    product.stop()


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("{other}/lnoe", "no Service matches {other}/lnoe", "did you mean {other}/lone?"),
        ("-n {other} by-hand", "no Service matches by-hand in namespace {other}", "did you mean .*{one}/by-hand"),
        ("lss", "no Service matches lss", "did you mean `kubectl localize ls`"),
        ("ps", "no Service matches ps", "did you mean `kubectl localize ls`"),
        ("-n {one}x", "there is no namespace {one}x", "did you mean -n {one}?"),
        ("stop {one}/wbe", "nothing that runs matches {one}/wbe", "did you mean {one}/web?"),
        ("expose {other}/lnoe", "there is no Service lnoe in namespace {other}", "did you mean lone?"),
        ("expose -n {other} by-hand", "there is no Service by-hand in namespace {other}", "{one}/by-hand"),
        ("expose default/kubernetes", "default/kubernetes has no selector", "kubectl get services -A -o wide"),
    ],
)
def test_what_was_meant_is_the_hint(shop: Shop, laptop: Product, line: str, message: str, hint: str) -> None:
    """While something runs."""
    one, other = shop.namespace, shop.other
    done = laptop.sandbox.localize(*line.format(one=one, other=other).split())
    assert_fails(done, message.format(one=one, other=other), hint.format(one=one, other=other))
