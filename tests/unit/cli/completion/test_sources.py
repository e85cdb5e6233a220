"""Where Tab has its names from, without a cluster: the kubeconfig, state files and PATH."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kubectl_localize.cli.completion.candidates import Running
from kubectl_localize.cli.completion.line import read_line
from kubectl_localize.cli.completion.sources import Sources
from kubectl_localize.host.paths import Paths
from kubectl_localize.host.process import Pidfile
from tests.unit.cli.samples import document, exposure, forward

KUBECONFIG = """
current-context: dev
contexts:
- {name: dev, context: {cluster: c, user: ada, namespace: shop}}
- {name: prod, context: {cluster: c, user: ada}}
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:6443"}}
users:
- {name: ada, user: {token: secret}}
"""


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A home with a kubeconfig and a state directory; no kubectl, so nothing asks a cluster."""
    (tmp_path / "config").write_text(KUBECONFIG)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    state = tmp_path / "localize"
    return {"KUBECONFIG": str(tmp_path / "config"), "KUBECTL_LOCALIZE_HOME": str(state), "PATH": "/nowhere"}


@pytest.fixture
def supervisor(environ: Mapping[str, str]) -> Iterator[None]:
    """A supervisor of context dev that runs: this process."""
    run = Paths.from_env(environ).run("dev-1")
    run.directory.mkdir(parents=True)
    pidfile = Pidfile.acquire(run.pidfile)
    assert pidfile is not None
    run.state.write_text(json.dumps(document(forward("a", "web"), exposure("b", "cart"), context="dev").to_json()))
    yield
    pidfile.release()


def _sources(line: str, environ: Mapping[str, str]) -> Sources:
    return Sources(read_line(line.split(" ")), environ)


def test_the_kubeconfig(environ: Mapping[str, str]) -> None:
    sources = _sources("", environ)
    assert sources.kubeconfig_names("context") == ["dev", "prod"]
    assert sources.kubeconfig_names("cluster") == ["c"]
    assert sources.kubeconfig_names("user") == ["ada"]
    assert sources.context() == "dev"
    assert _sources("--context prod ", environ).context() == "prod"


def test_no_credential_is_kept_of_it(environ: Mapping[str, str]) -> None:
    _sources("", environ).context()
    files = [path for path in Path(environ["KUBECTL_LOCALIZE_HOME"]).rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if "secret" in path.read_text()]


def test_a_kubeconfig_behind_an_equals_sign_is_expanded(environ: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "other").write_text("current-context: other")
    assert _sources("--kubeconfig=~/other ", environ).context() == "other"
    assert _sources("--kubeconfig=$HOME/other ", environ).context() == "other"


@pytest.mark.usefixtures("supervisor")
def test_what_runs(environ: Mapping[str, str]) -> None:
    assert _sources("", environ).running() == [
        Running("dev", "a", "web", exposed=False), Running("dev", "b", "cart", exposed=True),
    ]  # fmt: skip


@pytest.mark.usefixtures("supervisor")
def test_without_a_cluster_the_namespaces_of_what_runs_are_known(environ: Mapping[str, str]) -> None:
    assert _sources("", environ).namespaces() == ["a", "b", "default"]
    assert _sources("--context prod ", environ).namespaces() == ["default"]
    assert _sources("", environ).services("shop") == ()


def test_programs(environ: Mapping[str, str], tmp_path: Path) -> None:
    for name, mode in (("npm", 0o755), ("npx", 0o755), ("npm.txt", 0o644), ("node", 0o755)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    assert _sources("", {**environ, "PATH": f"/nowhere:{tmp_path}"}).programs("np") == ["npm", "npx"]
