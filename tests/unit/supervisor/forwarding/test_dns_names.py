"""Which names lead to which address."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.model import HostsLine, ServiceKey
from kubectl_localize.supervisor.forwarding.dns_names import (
    Claim,
    Named,
    NameRules,
    Names,
    assign_names,
    candidates,
    context_slug,
    shadowing,
    with_final_dots,
)

RULES = NameRules(context="dev", cluster_domain="cluster.local", taken={})


def claims(*keys: ServiceKey) -> list[Claim]:
    """One command selects these Services."""
    return [Claim("shop", frozenset(keys))]


def names_of(*pairs: tuple[str, str], rules: NameRules = RULES) -> dict[str, tuple[str, ...]]:
    """Names by `namespace/service[/label]`, whose address is that text itself."""
    named = [Named(ServiceKey(namespace, name.partition("/")[0]), f"{namespace}/{name}", name.partition("/")[2])
             for namespace, name in pairs]  # fmt: skip
    result = assign_names(named, claims(*(entry.key for entry in named)), rules)
    return {line.address: line.names for line in result.lines}


def test_a_service_has_its_names_in_the_cluster_and_one_that_every_context_has_for_itself() -> None:
    assert names_of(("shop", "web")) == {
        "shop/web": ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "web.shop.dev")
    }


def test_a_pod_has_them_below_its_service() -> None:
    assert names_of(("shop", "db"), ("shop", "db/db-0"))["shop/db/db-0"] == (
        "db-0.db",
        "db-0.db.shop",
        "db-0.db.shop.svc",
        "db-0.db.shop.svc.cluster.local",
        "db-0.db.shop.dev",
    )


@pytest.mark.parametrize(
    ("pairs", "holder"),
    [
        ([("try", "web")], "try/web"),
        ([("try", "web"), ("shop", "web")], "shop/web"),
        ([("try", "web"), ("test", "web")], None),
        ([("try", "web"), ("test", "web"), ("shop", "web")], "shop/web"),
    ],
)
def test_who_has_the_bare_name(pairs: list[tuple[str, str]], holder: str | None) -> None:
    result = names_of(*pairs)
    assert {address for address, names in result.items() if "web" in names} == ({holder} if holder else set())


def test_services_that_are_not_forwarded_count_when_a_name_has_to_be_the_only_one() -> None:
    web = Named(ServiceKey("try", "web"), "127.64.0.1")
    skipped = {ServiceKey("try", "web"), ServiceKey("test", "web")}
    assert "web" not in assign_names([web], claims(*skipped), RULES).of("127.64.0.1")
    in_the_contexts = {ServiceKey("try", "web"), ServiceKey("shop", "web")}
    assert "web" not in assign_names([web], claims(*in_the_contexts), RULES).of("127.64.0.1")


def test_a_name_that_something_else_has_is_left_alone_and_said() -> None:
    rules = replace(RULES, taken={"web": "the hosts file"}, public={"web.shop"})
    result = assign_names([Named(ServiceKey("shop", "web"), "127.64.0.1")], claims(ServiceKey("shop", "web")), rules)
    assert result.of("127.64.0.1") == ("web.shop.svc", "web.shop.svc.cluster.local", "web.shop.dev")
    assert result.warnings == (
        "the name web is left alone: the hosts file has it",
        "the name web.shop is left alone: public DNS has it",
    )


def test_a_services_name_goes_before_a_pods() -> None:
    result = names_of(("a", "db"), ("a", "db/web"), ("db", "web"))
    assert "web.db" in result["db/web"]
    assert "web.db" not in result["a/db/web"]
    assert "web.db.a" in result["a/db/web"]


def test_pods_that_share_an_address_and_a_label_have_one_line() -> None:
    same = Named(ServiceKey("shop", "db"), "127.64.0.1", "h")
    assert len(assign_names([same, same], claims(same.key), RULES).lines) == 1


def test_a_name_that_is_too_long_for_dns_is_left_out() -> None:
    names = names_of(("shop", "web"), rules=replace(RULES, context="x" * 63 + ".y" * 91))["shop/web"]
    assert max(len(name) for name in names) <= 253
    assert "web.shop.svc.cluster.local" in names


def test_a_context_whose_slug_another_one_has_keeps_names_of_its_own() -> None:
    """As `a_b` and `a-b` do, or `Prod` and `prod`."""
    taken = {"web.shop": "another context (dev-1)", "web.shop.dev": "another context (dev-1)"}
    names = names_of(("shop", "web"), rules=replace(RULES, taken=taken, mark="05f14455"))
    assert names["shop/web"] == ("web", "web.shop.svc", "web.shop.svc.cluster.local", "web.shop.dev-05f14455")


def test_names_of_an_unknown_address() -> None:
    assert Names((), ()).of("127.64.0.1") == ()


@pytest.mark.parametrize(
    ("context", "slug"),
    [
        ("dev", "dev"),
        ("arn:aws:eks:eu-west-1:123456789012:cluster/dev", "arn-aws-eks-eu-west-1-123456789012-cluster-dev"),
        ("gke_proj_europe-west1_Dev", "gke-proj-europe-west1-dev"),
        ("ada@k8s.example.com", "ada-k8s.example.com"),
        ("a..b.", "a.b"),
        ("-_-", "context"),
        ("日本", "xn--wgv71a"),
        ("生产", "xn--wlqs15g"),
        ("测试.example", "xn--0zwm56d.example"),
        ("team/测试", "xn--team--vo0ll97o"),
        ("x" * 70, "x" * 63),
    ],
)
def test_context_slug(context: str, slug: str) -> None:
    assert context_slug(context) == slug


@given(st.text(max_size=80))
def test_a_slug_is_always_a_valid_end_of_a_host_name(context: str) -> None:
    for label in context_slug(context).split("."):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label)


LABELS = st.sampled_from(["web", "db", "svc", "dev", "shop", "a", "local", "cluster"])


@given(
    st.lists(st.tuples(LABELS, LABELS, st.one_of(st.just(""), LABELS)), unique=True, max_size=12),
    st.sets(LABELS),
)
def test_no_name_leads_to_two_addresses_and_everything_has_its_full_name(
    things: list[tuple[str, str, str]], taken: set[str]
) -> None:
    named = [Named(ServiceKey(space, name), f"127.64.0.{at}", label) for at, (space, name, label) in enumerate(things)]
    rules = replace(RULES, taken=dict.fromkeys(taken, "the hosts file"))
    result = assign_names(named, claims(*(entry.key for entry in named)), rules)
    count = Counter(name for line in result.lines for name in line.names)
    assert all(times == 1 for times in count.values())
    assert not taken & set(count)
    for entry in named:
        if not entry.label:
            assert f"{entry.key.name}.{entry.key.namespace}.svc.cluster.local" in result.of(entry.address)
    assert len({line.address for line in result.lines}) == len(result.lines)


def test_names_that_may_be_in_public_dns() -> None:
    names = ["github", "github.com", "api.dev", "web.shop", "web.shop.svc"]
    assert shadowing(names, {"com", "dev", "github"}) == ["api.dev", "github.com"]


def test_full_names_are_written_with_their_final_dot_as_well() -> None:
    line = HostsLine("127.64.0.1", ("web", "web.shop.svc", "web.shop.svc.cluster.local", "web.shop.dev"))
    assert with_final_dots([line], "cluster.local") == (
        HostsLine("127.64.0.1", (*line.names, "web.shop.svc.cluster.local.")),
    )
    assert with_final_dots([line], "corp.example") == (line,)


def test_candidates_are_all_names_that_may_be_given() -> None:
    key = ServiceKey("shop", "web")
    named = [Named(key, "127.64.0.1"), Named(key, "127.64.0.2", "web-0")]
    taken = replace(RULES, taken={"web": "the hosts file"})
    given = {name for line in assign_names(named, claims(key), taken).lines for name in line.names}
    assert candidates(named, claims(key), RULES) == given | {"web"}


def test_a_name_that_another_user_has_is_left_alone_and_one_that_is_surely_ours_is_given() -> None:
    key = ServiceKey("shop", "web")
    named = [Named(key, "127.64.0.1")]
    theirs = candidates(named, claims(key), RULES)
    rules = replace(RULES, taken=dict.fromkeys(theirs, "user alice"), user="bob", others={"user alice"})
    assert assign_names(named, claims(key), rules) == Names(
        (HostsLine("127.64.0.1", ("web.shop.dev-bob",)),),
        ("5 names are left alone, such as web: user alice has them; those that end in .dev-bob are yours",),
    )
    free = replace(rules, taken={})
    assert assign_names(named, claims(key), free).of("127.64.0.1") == (
        "web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "web.shop.dev", "web.shop.dev-bob"
    )  # fmt: skip
