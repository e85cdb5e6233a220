"""`ls` from files to stdout and stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubectl_localize.cli.main import main
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import Pidfile
from kubectl_localize.ls_document import HostsState
from tests.unit.cli.samples import document, forward, port, webshop


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state directory."""
    monkeypatch.setenv("KUBECTL_LOCALIZE_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return tmp_path


FOLDED = "1 Service cannot be forwarded; `kubectl localize ls --all` lists it\n"


@pytest.fixture
def running(home: Path) -> Iterator[RunPaths]:
    """A supervisor that runs: this process."""
    run = RunPaths(home / "kind-dev-1")
    run.directory.mkdir()
    pidfile = Pidfile.acquire(run.pidfile)
    assert pidfile is not None
    run.state.write_text(json.dumps(webshop().to_json()))
    yield run
    pidfile.release()


def test_nothing_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    assert capsys.readouterr() == ("", 'nothing is running; start with "kubectl localize"\n')
    assert main(["ls", "-o", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"apiVersion": "localize/v1", "kind": "List", "supervisors": [], "items": []}
    assert err == ""


def test_formats(running: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(running.state.read_text())
    whole["items"].sort(key=lambda item: (item["name"], item["kind"]))
    assert main(["ls", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == whole
    assert main(["ls", "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == whole
    assert main(["ls", "-o", "name"]) == 0
    assert capsys.readouterr() == ("webshop/cart\nwebshop/dns\nwebshop/queue\nwebshop/web\n", "")
    assert main(["ls"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in out.splitlines()] == ["NAME", "cart", "queue", "web"]
    assert err == FOLDED


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("--all", ["NAME", "cart", "dns", "queue", "web"]),
        ("-o wide", ["NAME", "cart", "dns", "queue", "web"]),
        ("dns", ["NAME", "dns"]),
        ("-A -n nowhere --all --no-headers", ["cart", "dns", "queue", "web"]),
    ],
)
@pytest.mark.usefixtures("running")
def test_what_cannot_be_forwarded_is_listed_on_demand(
    line: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", *line.split()]) == 0
    out, err = capsys.readouterr()
    assert ([row.split()[1] for row in out.splitlines()], err) == (names, "")


@pytest.mark.usefixtures("running")
def test_what_people_who_use_kubectl_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "web", "-o", "jsonpath={.items[0].address}"]) == 0
    assert capsys.readouterr() == ("127.71.4.19", "")
    assert main(["ls", "-o", "custom-columns=NAME:.name", "--no-headers"]) == 0
    assert capsys.readouterr().out == "cart\ncart\ndns\nqueue\nweb\n"
    assert main(["ls", "-o", "jsonpath={.items"]) == 2
    assert "hint: for example -o jsonpath='" in capsys.readouterr().err


@pytest.mark.usefixtures("running")
def test_a_name_that_matches_nothing_is_said_beside_one_that_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "-o", "name", "web", "crat"]) == 0
    assert capsys.readouterr() == ("webshop/web\n", "warning: nothing that runs matches crat; did you mean cart?\n")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("web", ["web"]),
        ("-n webshop web queue", ["queue", "web"]),
        ("other/*", []),
        ("-n other", []),
        ("-l app=x", []),
        ("--context kind-dev *e*", ["queue", "web"]),
        ("--context other", []),
    ],
)
@pytest.mark.usefixtures("running")
def test_filters(line: str, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "-o", "name", *line.split()]) == 0
    assert capsys.readouterr().out.split() == [f"webshop/{name}" for name in names]


@pytest.mark.usefixtures("running")
def test_nothing_matches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "nope"]) == 0
    assert capsys.readouterr() == ("", "nothing that is running matches; `kubectl localize ls` lists what runs\n")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("webb", "did you mean web?"),
        ("webshop/webb", "did you mean webshop/web?"),
        ("-n webshp web", "did you mean -n webshop?"),
        ("--context kind-dev quene", "did you mean queue?"),
    ],
)
@pytest.mark.usefixtures("running")
def test_a_slip_has_the_right_name_as_a_hint(line: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", *line.split()]) == 0
    assert capsys.readouterr() == ("", f"nothing that is running matches; {hint}\n")


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("kind-dev", (0, FOLDED)),
        ("kind-prod", (0, 'nothing is running; start with "kubectl localize"\n')),
        ("kind-prd", (1, "error: there is no context kind-prd in the kubeconfig\nhint: did you mean kind-prod?\n")),
    ],
)
@pytest.mark.usefixtures("running")
def test_a_context_that_is_nowhere_is_an_error_and_one_that_does_not_run_is_none(
    home: Path, context: str, expected: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that runs was taken out of the kubeconfig since."""
    (home / "config").write_text("contexts: [{name: kind-prod, context: {cluster: c}}]")
    assert (main(["ls", "--context", context]), capsys.readouterr().err) == expected


@pytest.mark.usefixtures("running")
def test_a_bad_selector(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "-l", "a=b=c"]) == 1
    assert capsys.readouterr().err.startswith("error: 'a=b=c' is not a label selector\nhint: ")


def test_what_the_supervisor_warns_of_stands_beside_the_table_only(
    running: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = document(forward("a", "b", port(1, 1)), hosts=HostsState.DENIED, warnings=("half",))
    running.state.write_text(json.dumps(denied.to_json()))
    assert main(["ls"]) == 0
    assert capsys.readouterr().err == "warning: half\n"
    assert main(["ls", "-o", "json"]) == 0
    assert capsys.readouterr().err == ""


def test_a_dead_one_is_said_in_every_format(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunPaths(home / "dead-1")
    run.directory.mkdir()
    run.state.write_text(json.dumps(webshop().to_json()))
    for output in ("table", "wide", "json", "yaml", "name"):
        assert main(["ls", "-o", output]) == 0
        out, err = capsys.readouterr()
        assert "webshop" not in out
        assert err.startswith("warning: the supervisor of context kind-dev (pid 4711) is gone; ")


@pytest.mark.usefixtures("running")
def test_what_takes_long_is_not_imported_for_it() -> None:
    """`ls` is what people look at all day; each of these takes 2 to 100 ms."""
    code = "import sys, kubectl_localize.cli.main as m; m.main(['ls']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith("NAMESPACE")
    modules = set(done.stderr.split())
    assert "kubectl_localize.cli.listing.table" in modules
    slow = {"sh", "tabulate", "psutil", "yaml", "asyncio", "argcomplete", "hashlib", "tempfile", "shutil", "subprocess"}
    own = {f"kubectl_localize.{name}" for name in ("model", "protocol", "timing", "supervisor", "cluster")}
    assert not modules & (slow | own)
