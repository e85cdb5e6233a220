"""What is said of an order's selection."""

from __future__ import annotations

import shlex

import pytest

from kubectl_localize.cli.parsing.arguments import StartArgs
from kubectl_localize.cli.parsing.parser import parse, selection
from kubectl_localize.model import Options, Selection, ServiceKey
from kubectl_localize.supervisor.order import StartRequest, describe, nothing_selected
from tests.unit.cluster.samples import CONNECTION

KNOWN = [
    ServiceKey("shop", "web"),
    ServiceKey("shop", "api"),
    ServiceKey("backoffice", "reports"),
    ServiceKey("backoffice", "dns"),
]


@pytest.mark.parametrize(
    "line",
    [
        "kubectl localize",
        "kubectl localize -n shop -n backoffice web 'api*'",
        "kubectl localize -A -l 'app in (a, b)' --skip-namespace=try --exclude=db",
    ],
)
def test_a_selection_in_words_is_the_command_that_asks_for_it(line: str) -> None:
    args = parse(shlex.split(line)[2:])
    assert isinstance(args, StartArgs)
    assert describe(selection(args)) == line


@pytest.mark.parametrize(
    ("patterns", "hint"),
    [
        (["webb"], "did you mean web?"),
        (["shop/webb"], "did you mean shop/web?"),
        (["shpo/web"], "did you mean shop/web?"),
        (["nothing-like-it", "report"], "did you mean reports?"),
    ],
)
def test_a_slip_of_a_services_name_has_the_right_one_as_a_hint(patterns: list[str], hint: str) -> None:
    error = nothing_selected(StartRequest(CONNECTION, Selection(patterns=tuple(patterns)), Options()), KNOWN)
    assert error.message.startswith(f"no Service matches {' '.join(patterns)} in context ")
    assert error.hint == hint


@pytest.mark.parametrize("wanted", [Selection(patterns=("backoffice/no-such",)), Selection(namespaces=("empty",))])
def test_what_is_like_no_service_has_the_list_as_a_hint(wanted: Selection) -> None:
    assert "`kubectl get services -A`" in nothing_selected(StartRequest(CONNECTION, wanted, Options()), KNOWN).hint
