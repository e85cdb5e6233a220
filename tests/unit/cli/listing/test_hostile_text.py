"""What a cluster may call things, in every format of `ls`: it reaches no terminal raw, and forges no line."""

from __future__ import annotations

import json

import pytest
import yaml

from kubectl_localize.cli.listing.document import Filter, Reading
from kubectl_localize.cli.listing.formats import View, remarks
from kubectl_localize.ls_document import ForwardPod, LsDocument
from tests.unit.cli.samples import NOW, child, document, exposure, forward, port

HOSTILE = {
    "C0": "a\x1b[2Jb\x07",
    "C1": "a\x9b2Jb\x90q\x9c",
    "newline": "a\nwebshop   fake   Active",
    "carriage return": "a\rb",
    "line separator": "a\u2028b\x85c\x0bd",
    "bidi": "a\u202eb\u2066c",
    "zero width": "a\u200bb\ufeffc",
    "surrogate": "a\ud800b",
    "delete": "a\x7fb",
    "tag": "a\U000e0041b",
    "long": "a" * 100_000,
}


def _document(text: str) -> LsDocument:
    """One document that has the text wherever one comes from a cluster."""
    hostile_port = port(80, text, name=text, protocol=text, reason=text, children=(child(text),))
    fields = {"address": text, "reason": text, "hostnames": (text, text), "endpoints": (text,), "labels": {text: text}}
    item = forward(text, text, hostile_port, pods=(ForwardPod(text, text, (text,)),), **fields)
    return document(item, exposure(text, f"{text}x", pod=text, reason=text))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("output", ["table", "wide", "name", "json", "yaml"])
def test_every_format_is_lines_of_printable_characters(output: str, text: str) -> None:
    hostile = _document(text)
    printed = View(output).text(hostile, NOW)
    assert printed.replace("\n", "").isprintable()
    lines = printed.splitlines()
    if output == "json":
        assert json.loads(printed) == hostile.to_json()
    elif output == "yaml":
        assert yaml.safe_load(printed) == hostile.to_json()
    elif output == "name":
        assert 1 <= len(lines) <= 2
    else:
        assert len(lines) == 3
        assert max(map(len, lines)) < 20_000
    for remark in remarks(Reading(Filter().apply(hostile), (text,)), View(output), narrowed=False):
        assert isinstance(remark.text, str)  # the console makes it a line


def test_what_is_printable_is_not_escaped() -> None:
    hostile = _document("käse-生产")
    assert "käse-生产" in View("json").text(hostile, NOW)
    assert "käse-生产" in View("yaml").text(hostile, NOW)
