"""The files and methods that the documents send a reader to are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from kubectl_localize.protocol import Event, Request

CHECKOUT = Path(__file__).parent.parent.parent
PACKAGE = CHECKOUT / "kubectl_localize"
NAMED = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:py|yaml)|(?:[\w-]+/){2,})`")
LINE = re.compile(r'^    [<>] \{"(op|event)": "(\w+)"', re.MULTILINE)
METHOD = re.compile(r"`([A-Z]\w+)\.(\w+)`")


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/how-it-works.md"])
def test_every_file_that_is_named_exists(document: str) -> None:
    text = (CHECKOUT / document).read_text()
    names = set(NAMED.findall(text))
    places = (CHECKOUT, PACKAGE, PACKAGE / "supervisor" / "exposing")
    assert [name for name in sorted(names) if not any((place / name).exists() for place in places)] == []
    assert len(names) > 10


def test_every_method_that_a_trip_goes_through_exists() -> None:
    methods = {
        (kind.name, member.name)
        for path in PACKAGE.rglob("*.py")
        for kind in ast.walk(ast.parse(path.read_text()))
        if isinstance(kind, ast.ClassDef)
        for member in kind.body
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    named = METHOD.findall((CHECKOUT / "docs/how-it-works.md").read_text())
    assert [method for method in named if method not in methods] == []
    assert len(named) > 20


def test_every_line_of_a_conversation_is_one_of_the_protocol() -> None:
    known = {("op", kind.op) for kind in Request.__args__} | {("event", kind.event) for kind in Event.__args__}
    lines = LINE.findall((CHECKOUT / "docs/how-it-works.md").read_text())
    assert set(lines) - known == set()
    assert len(lines) > 20
