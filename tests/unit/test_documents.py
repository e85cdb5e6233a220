"""The files that the documents send a reader to are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
PACKAGE = CHECKOUT / "kubectl_localize"
NAMED = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:py|yaml)|(?:[\w-]+/){2,})`")


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/how-it-works.md"])
def test_every_file_that_is_named_exists(document: str) -> None:
    text = (CHECKOUT / document).read_text()
    names = set(NAMED.findall(text))
    places = (CHECKOUT, PACKAGE, PACKAGE / "supervisor" / "exposing")
    assert [name for name in sorted(names) if not any((place / name).exists() for place in places)] == []
    assert len(names) > 10
