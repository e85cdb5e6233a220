"""Several contexts side by side: one supervisor, one managed block and one set of addresses each."""

from __future__ import annotations

import json
import re

import pytest

from tests.real.product import Product, assert_fails
from tests.real.shop import Shop

SECOND = "arn:aws:eks:eu-west-1:1234:cluster/Second_One"  # as real ones are called
SLUG = "arn-aws-eks-eu-west-1-1234-cluster-second-one"


def _add_second(product: Product) -> str:
    """A second context for the same cluster; returns the first one's name."""
    return _add_context(product, SECOND)


def _add_context(product: Product, name: str) -> str:
    """Another context for the same cluster; returns the first one's name."""
    config = json.loads(product.sandbox.kubectl("config", "view", "-o", "json"))
    first = config["contexts"][0]
    words = (f"--cluster={first['context']['cluster']}", f"--user={first['context']['user']}")
    product.sandbox.kubectl("config", "set-context", name, *words)
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
    # The names that every context has for itself, and the plain ones if they are free.
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

    assert f"stopped the supervisor of context {SECOND}\n" in product.stop("--context", SECOND).stderr
    assert sandbox.hosts.read_bytes() == alone
    assert product.items()[f"{shop.namespace}/web"]["context"] == first
    # Now they are free, for whom comes next and has the plain names to itself.
    product.stop()
    product.detach("--context", SECOND, "-n", shop.namespace, "web")
    assert len(product.items()[f"{shop.namespace}/web"]["hostnames"]) == 5
    product.stop("--all")


@pytest.mark.parametrize(
    ("names", "ends"),
    [(("生产", "测试"), (r"xn--wlqs15g", r"xn--0zwm56d")), (("a_b", "a-b"), (r"a-b", r"a-b-[0-9a-f]{8}"))],
)
def test_contexts_with_names_that_look_alike_in_dns_keep_names_apart(
    shop: Shop, product: Product, names: tuple[str, str], ends: tuple[str, str]
) -> None:
    for name in names:
        _add_context(product, name)
        product.detach("--context", name, "-n", shop.namespace, "web")
    items = {item["context"]: item for item in product.document()["items"]}
    for name, end in zip(names, ends, strict=True):
        (own,) = [host for host in items[name]["hostnames"] if re.fullmatch(rf"web\.{shop.namespace}\.{end}", host)]
        assert product.sandbox.resolve(own) == [items[name]["address"]]
        assert product.sandbox.fetch(f"http://{own}:7080/").startswith("web-")
    product.stop("--all")


def test_supervisors_of_two_state_directories_leave_one_another_alone(shop: Shop, product: Product) -> None:
    """They do not know of one another, though they forward the same context."""
    sandbox = product.sandbox
    elsewhere = {"KUBECTL_LOCALIZE_HOME": f"{sandbox.home}/elsewhere"}
    before = sandbox.hosts.read_bytes()
    product.detach("-n", shop.namespace, "web")
    alone = sandbox.hosts.read_bytes()
    item = product.items()[f"{shop.namespace}/web"]
    second = sandbox.localize("-d", "-n", shop.namespace, "web", "node-port", env=elsewhere)
    assert second.returncode == 0, second.stderr
    assert "2 Services of context " in second.stderr
    assert "another program has" not in second.stderr
    assert sandbox.resolve(f"web.{shop.namespace}") == [item["address"]], "who was first has the names that both want"
    (other,) = sandbox.resolve(f"node-port.{shop.namespace}")
    assert product.fetch_all(shop.url("web", 7080), f"http://{other}:7080/")[1].startswith("web-")
    stopped = sandbox.localize("stop", env=elsewhere)
    assert stopped.returncode == 0, stopped.stderr
    assert sandbox.hosts.read_bytes() == alone
    assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")
    product.stop()
    assert sandbox.hosts.read_bytes() == before


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
    ended = product.stop("--all").stderr
    assert [f"stopped the supervisor of context {name}\n" in ended for name in (first, SECOND)] == [True, True]
    assert product.document()["supervisors"] == []


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
        assert "the supervisor ends" in done.stdout
    assert_fails(product.sandbox.localize("logs", "--context", "nowhere"), "no context nowhere", "get-contexts")
