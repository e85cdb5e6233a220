"""The `ls -o json` document is what docs/state.md and docs/state.schema.json say it is."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import jsonschema
import pytest

from kubectl_localize.codec import camel
from kubectl_localize.ls_document import (
    ExposureItem,
    ExposurePort,
    ForwardItem,
    ForwardPod,
    ForwardPort,
    HostsState,
    LsDocument,
    PortChild,
    Status,
    SupervisorItem,
    WorkloadItem,
)
from tests.state_schema import SCHEMA, check_document, schema
from tests.unit.cli.samples import document, forward, port, webshop

DEFINITIONS = {
    "supervisor": ("Supervisor", SupervisorItem),
    "forward": ("Forward", ForwardItem),
    "forwardPort": ("Port of a forward", ForwardPort),
    "portChild": ("Child of a port", PortChild),
    "forwardPod": ("Pod of a forward", ForwardPod),
    "exposure": ("Exposure", ExposureItem),
    "exposurePort": ("Port of an exposure", ExposurePort),
    "workload": ("Workload", WorkloadItem),
}


def _fields(kind: Any) -> list[str]:
    """The keys of a dataclass in JSON; an item begins with its kind."""
    tag = ["kind"] if kind in (ForwardItem, ExposureItem) else []
    return [*tag, *(camel(field.name) for field in dataclasses.fields(kind))]


def _documented(heading: str) -> list[str]:
    """The fields in the first table below a heading of docs/state.md."""
    text = SCHEMA.with_name("state.md").read_text(encoding="utf-8")
    section = re.split(rf"^#+ {heading}$", text, flags=re.MULTILINE)[1]
    table = section[section.index("| field |") :].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def _written(item: LsDocument) -> Any:
    return json.loads(json.dumps(item.to_json()))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", DEFINITIONS)
def test_schema_and_page_have_the_fields_of_the_document(name: str) -> None:
    heading, kind = DEFINITIONS[name]
    definition = schema()["$defs"][name]
    assert definition["required"] == list(definition["properties"]) == _fields(kind)
    assert _documented(heading) == _fields(kind)


def test_the_page_has_the_fields_of_the_whole() -> None:
    assert _documented("The document") == schema()["required"] == list(LsDocument().to_json())


@pytest.mark.parametrize(
    "what",
    [
        LsDocument(),
        webshop(),
        document(forward("a", "db", pods=(ForwardPod("db-0", "127.64.0.9", ("db-0.db.a",)),))),
        document(forward("a", "gone", port(80, 0, local_port=0), since="", address="")),
    ],
)
def test_what_is_written_is_valid(what: LsDocument) -> None:
    check_document(_written(what))


@pytest.mark.parametrize(
    "broken",
    [
        document(version="1", pid=0),
        document(forward("a", "web", status=Status.EXPOSED)),
        document(forward("a", "web", address="10.0.0.1")),
        document(forward("a", "web", port(70000, 80))),
        document(forward("a", "web", since="yesterday")),
    ],
)
def test_what_the_schema_refuses(broken: LsDocument) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check_document(_written(broken))


def test_every_word_of_the_hosts_state_is_in_the_schema() -> None:
    hosts = schema()["$defs"]["supervisor"]["properties"]["hosts"]["enum"]
    assert hosts == [state.value for state in HostsState]


def test_every_status_is_in_the_schema() -> None:
    definitions = schema()["$defs"]
    words = {word for name in ("forward", "exposure") for word in definitions[name]["properties"]["status"]["enum"]}
    assert words == {status.value for status in Status}
