"""What `ls` shows: state files of the living and of the dead, merged and filtered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubectl_localize import __version__
from kubectl_localize.cli.listing.document import Filter, Owner, Reading, StateFiles, merge, notes
from kubectl_localize.cli.listing.formats import View, names, remarks
from kubectl_localize.host.files import mark_outdated
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.label_selector import parse_selector
from kubectl_localize.ls_document import HostsState, LsDocument
from tests.unit.cli.samples import document, forward, port


def test_merge_sorts_by_context_namespace_name() -> None:
    prod = document(forward("b", "a"), forward("a", "z"), context="prod", pid=2)
    dev = document(forward("c", "c"), context="dev", pid=1)
    merged = merge([prod, dev])
    assert [(item.context, item.namespace, item.name) for item in merged.items] == [
        ("dev", "c", "c"), ("prod", "a", "z"), ("prod", "b", "a"),
    ]  # fmt: skip
    assert [supervisor.pid for supervisor in merged.supervisors] == [1, 2]
    assert merge([]) == LsDocument()


@pytest.mark.parametrize(
    ("wanted", "services"),
    [
        (Filter(), ["a/db", "a/web", "b/web"]),
        (Filter(patterns=("web",)), ["a/web", "b/web"]),
        (Filter(patterns=("a/web",)), ["a/web"]),
        (Filter(patterns=("a/*", "b/w?b")), ["a/db", "a/web", "b/web"]),
        (Filter(patterns=("d*",)), ["a/db"]),
        (Filter(namespaces=("b", "c")), ["b/web"]),
        (Filter(namespaces=("b",), patterns=("db",)), []),
        (Filter(requirements=parse_selector("tier=front")), ["b/web"]),
        (Filter(requirements=parse_selector("tier!=front")), ["a/db", "a/web"]),
        (Filter(context="kind-dev"), ["a/db", "a/web", "b/web"]),
        (Filter(context="other"), []),
    ],
)
def test_filter(wanted: Filter, services: list[str]) -> None:
    full = document(
        forward("a", "db", port(80, 80)), forward("a", "web"), forward("b", "web", labels={"tier": "front"})
    )
    filtered = wanted.apply(full)
    assert names(filtered) == services
    assert bool(filtered.supervisors) == (wanted.context != "other")


def test_notes() -> None:
    denied = document(hosts=HostsState.DENIED, warnings=("port 80 is taken",))
    assert notes(denied, __version__) == ["port 80 is taken"]
    both = merge([denied, document(context="prod", pid=9, warnings=("x",))])
    assert notes(both, __version__)[-1] == "context prod: x"
    assert notes(document(hosts=HostsState.OFF), __version__) == []


def test_a_supervisor_of_another_version_is_named() -> None:
    (said,) = notes(document(pid=9), "9.0.0")
    assert said.startswith(
        f"the supervisor (pid 9) is of version {__version__}, this is 9.0.0; `kubectl localize stop`"
    )
    assert notes(document(version=""), "9.0.0") == []


# -- state files ------------------------------------------------------------------------------------------------------
def _run(root: Path, key: str, text: str | None) -> RunPaths:
    run = RunPaths(root / key)
    run.directory.mkdir()
    run.pidfile.write_text("")
    if text is not None:
        run.state.write_text(text)
    return run


def _read(root: Path, owner: Owner) -> Reading:
    return StateFiles(Paths(root), owner).read()


def _living(_: Path) -> int | None:
    return 4711


def _dead(_: Path) -> int | None:
    return None


def test_all_that_live_are_merged(tmp_path: Path) -> None:
    for context in ("prod", "dev"):
        _run(tmp_path, context, json.dumps(document(forward("a", "web"), context=context).to_json()))
    reading = _read(tmp_path, _living)
    assert [item.context for item in reading.document.items] == ["dev", "prod"]
    assert reading.warnings == ()


def test_a_dead_one_is_said_and_not_shown(tmp_path: Path) -> None:
    _run(tmp_path, "dev-1", json.dumps(document(forward("a", "web"), context="dev", pid=99).to_json()))
    reading = _read(tmp_path, _dead)
    assert reading.document == LsDocument()
    (warning,) = reading.warnings
    assert warning.startswith("the supervisor of context dev (pid 99) is gone; ")
    assert "the next kubectl localize there cleans up" in warning


def test_one_that_ends_properly_while_it_is_read_is_not_called_dead(tmp_path: Path) -> None:
    run = _run(tmp_path, "dev-1", json.dumps(document().to_json()))

    def ends_now(_: Path) -> int | None:
        run.state.unlink()
        return None

    reading = _read(tmp_path, ends_now)
    assert reading == Reading(LsDocument())


@pytest.mark.parametrize("text", ["{", '{"apiVersion": "localize/v9"}', "\udcff"])
def test_a_garbled_one_is_named_and_the_others_shown(tmp_path: Path, text: str) -> None:
    bad = _run(tmp_path, "bad", None)
    bad.state.write_bytes(text.encode("utf-8", "surrogateescape"))
    _run(tmp_path, "good", json.dumps(document(forward("a", "web")).to_json()))
    reading = _read(tmp_path, _living)
    assert [item.name for item in reading.document.items] == ["web"]
    (warning,) = reading.warnings
    assert warning.startswith(f"{bad.state} cannot be read: ")


def test_a_garbled_one_of_a_dead_supervisor(tmp_path: Path) -> None:
    run = _run(tmp_path, "bad", "{")
    (warning,) = _read(tmp_path, _dead).warnings
    assert warning.startswith(f"a supervisor is gone and left {run.state} behind")


def test_absent(tmp_path: Path) -> None:
    _run(tmp_path, "dev-1", None)
    assert _read(tmp_path, _dead).warnings == ()
    living = _read(tmp_path, _living)
    assert living.warnings == ("the supervisor with pid 4711 (dev-1) has no state file yet",)
    said = [remark.text for remark in remarks(living, View("table"), narrowed=False)]
    assert said == list(living.warnings)  # and not that nothing is running


def test_one_that_could_not_be_replaced_is_shown_and_said_to_be_old(tmp_path: Path) -> None:
    run = _run(tmp_path, "dev-1", json.dumps(document(forward("a", "web")).to_json()))
    mark_outdated(run.state)
    reading = _read(tmp_path, _living)
    assert [item.name for item in reading.document.items] == ["web"]
    assert reading.warnings == (f"{run.state} cannot be written any more, so what it says is out of date",)


def test_one_that_is_nested_too_deeply(tmp_path: Path) -> None:
    run = _run(tmp_path, "bad", "[" * 100_000)
    (warning,) = _read(tmp_path, _living).warnings
    assert warning.startswith(f"{run.state} cannot be read: ")


def test_the_signature_changes_with_the_file_and_with_life(tmp_path: Path) -> None:
    run = _run(tmp_path, "dev-1", "{}")
    states = StateFiles(Paths(tmp_path), _living)
    first = states.signature()
    assert states.signature() == first
    assert StateFiles(Paths(tmp_path), _dead).signature() != first
    other = run.directory / "new"
    other.write_text("{} ")
    other.rename(run.state)
    assert states.signature() != first
    run.state.unlink()
    assert states.signature() != first
