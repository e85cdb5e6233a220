"""Several contexts side by side: one supervisor, one managed block and one set of addresses each."""

from __future__ import annotations

import json
import re

from tests.real.product import Product, assert_fails
from tests.real.shop import Shop

SECOND = "arn:aws:eks:eu-west-1:1234:cluster/Second_One"  # as real ones are called
SLUG = "arn-aws-eks-eu-west-1-1234-cluster-second-one"


def _add_second(product: Product) -> str:
    """A second context for the same cluster; returns the first one's name."""
    config = json.loads(product.sandbox.kubectl("config", "view", "-o", "json"))
    first = config["contexts"][0]
    words = (f"--cluster={first['context']['cluster']}", f"--user={first['context']['user']}")
    product.sandbox.kubectl("config", "set-context", SECOND, *words)
    return str(first["name"])


def test_two_contexts_side_by_side(shop: Shop, product: Product) -> None:
    sandbox = product.sandbox
    first = _add_second(product)
    product.detach("-n", shop.namespace, "web")
    alone = sandbox.hosts.read_bytes()
    product.detach("--context", SECOND, "-n", shop.namespace, "web")

    items = {item["context"]: item for item in product.document()["items"]}
    assert items.keys() == {first, SECOND}
    assert items[first]["address"] != items[SECOND]["address"]
    # The names that every context has for itself, and the plain ones where they are free.
    assert items[SECOND]["hostnames"] == [f"web.{shop.namespace}.{SLUG}"]
    assert sandbox.resolve(f"web.{shop.namespace}.{SLUG}") == [items[SECOND]["address"]]
    assert sandbox.resolve(f"web.{shop.namespace}") == [items[first]["address"]]
    answers = product.fetch_all(shop.url("web", 7080), f"http://web.{shop.namespace}.{SLUG}:7080/")
    assert all(answer.startswith("web-") for answer in answers)

    table = product.ls()
    assert table.startswith("CONTEXT ")
    assert [line.split()[0] for line in table.splitlines()[1:]] == sorted([first, SECOND])
    one = product.ls("--context", SECOND)
    assert one.startswith("NAMESPACE ")

    assert SLUG[:20] in product.stop("--context", SECOND).stderr
    assert sandbox.hosts.read_bytes() == alone
    assert product.items()[f"{shop.namespace}/web"]["context"] == first
    # Now they are free, for whom comes next and has the plain names to itself.
    product.stop()
    product.detach("--context", SECOND, "-n", shop.namespace, "web")
    assert len(product.items()[f"{shop.namespace}/web"]["hostnames"]) == 5
    product.stop("--all")


def test_stop_ends_the_current_context_only_and_all_ends_every_one(shop: Shop, product: Product) -> None:
    first = _add_second(product)
    product.detach("-n", shop.namespace, "web")
    product.detach("--context", SECOND, "-n", shop.namespace, "web")
    product.stop()
    assert [entry["context"] for entry in product.document()["supervisors"]] == [SECOND]
    again = product.stop()
    assert re.search("nothing is running for this context; 1 of other contexts", again.stderr)
    product.detach("-n", shop.namespace, "web")
    assert len(product.document()["supervisors"]) == 2
    assert product.stop("--all").stderr.count("stopped ") == 2
    assert product.document()["supervisors"] == []
    assert first != SECOND


def test_a_running_supervisor_stays_with_its_cluster(shop: Shop, product: Product) -> None:
    """`kubectl config use-context` moves new commands only."""
    first = _add_second(product)
    product.detach("-n", shop.namespace, "web")
    product.sandbox.kubectl("config", "use-context", SECOND)
    assert product.fetch_all(shop.url("web", 7081))[0].startswith("web-")
    assert product.items()[f"{shop.namespace}/web"]["context"] == first
    assert "nothing is running for this context" in product.stop().stderr
    product.stop("--context", first)


def test_several_logs_need_a_context(shop: Shop, product: Product) -> None:
    first = _add_second(product)
    for context in (first, SECOND):
        product.detach("--context", context, "-n", shop.namespace, "web")
    product.stop("--all")
    for context in (first, SECOND):
        done = product.sandbox.localize("logs", "--context", context)
        assert done.returncode == 0
        assert "ending" in done.stdout
    assert_fails(product.sandbox.localize("logs", "--context", "nowhere"), "no context nowhere", "get-contexts")
