"""What the names after `stop` mean."""

from __future__ import annotations

import pytest

from kubectl_localize.cli.running_names import running_patterns
from kubectl_localize.errors import LocalizeError
from kubectl_localize.ls_document import ExposureItem, ForwardItem, LsDocument, Status

DOCUMENT = LsDocument(
    (),
    (
        ForwardItem("dev", "shop", "web", Status.IDLE),
        ForwardItem("dev", "billing", "web", Status.IDLE),
        ForwardItem("dev", "billing", "api", Status.IDLE),
        ExposureItem("dev", "ops", "cart", Status.EXPOSED),
    ),
)


@pytest.mark.parametrize(
    ("words", "namespaces", "patterns"),
    [
        (["web"], [], ("shop/web",)),  # the context's namespace goes first
        (["api", "cart"], [], ("billing/api", "ops/cart")),
        (["billing/web"], [], ("billing/web",)),
        (["w*"], [], ("shop/w*",)),
        (["a*"], [], ("billing/a*",)),
        (["web"], ["billing"], ("billing/web",)),
        ([], ["shop", "ops"], ("shop/*", "ops/*")),
        (["*/web"], [], ("*/web",)),
    ],
)
def test_which_services_are_meant(words: list[str], namespaces: list[str], patterns: tuple[str, ...]) -> None:
    assert running_patterns(DOCUMENT, words, namespaces, "shop") == patterns


@pytest.mark.parametrize(
    ("words", "namespaces", "message", "hint"),
    [
        (["wbe"], [], "nothing that runs matches wbe", "did you mean web?"),
        (["shop/weeb"], [], "nothing that runs matches shop/weeb", "did you mean shop/web?"),
        (["web", "carts"], [], "nothing that runs matches carts", "did you mean cart?"),
        (["api"], ["shop"], "nothing that runs matches api", "did you mean billing/api?"),
        ([], ["shpo"], "nothing runs in namespace shpo", "did you mean -n shop?"),
        (["q"], [], "nothing that runs matches q", "`kubectl localize ls` lists what runs"),
    ],
)
def test_what_matches_nothing_that_runs(words: list[str], namespaces: list[str], message: str, hint: str) -> None:
    with pytest.raises(LocalizeError) as caught:
        running_patterns(DOCUMENT, words, namespaces, "shop")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_name_that_runs_in_several_namespaces_has_to_be_told_apart() -> None:
    with pytest.raises(LocalizeError) as caught:
        running_patterns(DOCUMENT, ["web"], [], "default")
    assert caught.value.hint == "name one: billing/web or shop/web"
