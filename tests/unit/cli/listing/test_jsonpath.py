"""kubectl's jsonpath and custom-columns, on the document of `ls`."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cli.listing.jsonpath import custom_columns, jsonpath
from kubectl_localize.errors import UsageError

DOCUMENT = {
    "kind": "List",
    "items": [
        {"name": "web", "address": "127.1.1.1", "ports": [{"port": 80, "name": "http"}, {"port": 443}],
         "labels": {"app.kubernetes.io/name": "web"}},
        {"name": "db", "address": "127.1.1.2", "ports": [{"port": 5432}], "reason": ""},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.items[*].name}", "web db"),
        ("{.items[0].address}", "127.1.1.1"),
        ("{.items[-1:].name}", "db"),
        ("{.items[-1].name}", "db"),
        ("{.items[0:1].name}", "web"),
        ("{.items[7].name}", ""),
        ("{$.kind}", "List"),
        (".items[*].name", "web db"),
        ("{.items[?(@.name=='db')].address}", "127.1.1.2"),
        ('{.items[?(@.name=="db")].address}', "127.1.1.2"),
        ("{.items[?(@.name!='db')].name}", "web"),
        ("{.items[*].ports[?(@.port>=443)].port}", "443 5432"),
        ("{.items[?(@.labels)].name}", "web"),
        ("{.items[0].labels.app\\.kubernetes\\.io/name}", "web"),
        ("{.items[0].labels['app.kubernetes.io/name']}", "web"),
        ("{..port}", "80 443 5432"),
        ("{.items[0].ports[0]}", '{"port":80,"name":"http"}'),
        ("{.items[*].nothing}", ""),
        ('{range .items[*]}{.name}{"\\t"}{.address}{"\\n"}{end}', "web\t127.1.1.1\ndb\t127.1.1.2\n"),
        ("{range .items[*]}{.name}:{range .ports[*]}{.port},{end};{end}!", "web:80,443,;db:5432,;!"),
        ("{range .nothing[*]}{.name}{range .x}{.y}{end}{end}after", "after"),
        ("address: {.items[0].address}", "address: 127.1.1.1"),
        ("plain", "plain"),
    ],
)
def test_what_a_template_prints(template: str, text: str) -> None:
    assert jsonpath(template, DOCUMENT) == text


@pytest.mark.parametrize(
    "template", ["{.items", "{range .items[*]}{.name}", "{.name}{end}", "{.items[(@.x)]}", "{.a[}"]
)
def test_what_is_no_template_has_an_example_as_a_hint(template: str) -> None:
    with pytest.raises(UsageError, match="jsonpath") as caught:
        jsonpath(template, DOCUMENT)
    assert "{range .items[*]}" in caught.value.hint


def test_columns_of_ones_own() -> None:
    text = custom_columns("NAME:.name,PORTS:.ports[*].port,REASON:.reason", DOCUMENT["items"])
    assert text.splitlines() == ["NAME   PORTS    REASON", "web    80,443   <none>", "db     5432     <none>"]
    assert custom_columns("NAME:{.name}", DOCUMENT["items"], headers=False) == "web\ndb\n"
    assert custom_columns("NAME:.name", []) == "NAME\n"


def test_what_others_wrote_does_not_steer_a_terminal() -> None:
    hostile = {"items": [{"reason": "red \x1b[31m\nnext"}]}
    assert jsonpath("{.items[0].reason}", hostile) == "red next"
    assert custom_columns("REASON:.reason", hostile["items"], headers=False) == "red next\n"


@pytest.mark.parametrize("text", ["", "NAME", "NAME:", ":.name", "NAME:.name,"])
def test_columns_without_a_path(text: str) -> None:
    with pytest.raises(UsageError, match="custom-columns"):
        custom_columns(text, DOCUMENT["items"])


@given(st.text(alphabet="{}.[]*@?()='\"range end:0-1ab$\\", max_size=24))
def test_any_template_prints_something_or_is_refused(template: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(jsonpath(template, DOCUMENT), str)
