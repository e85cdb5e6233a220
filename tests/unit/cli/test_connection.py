"""Which cluster a command means, and how seldom kubectl has to be asked for that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.connection import resolve
from kubectl_localize.cli.file_cache import FileCache
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Connection

KUBECONFIG = """
current-context: dev
contexts:
- {name: dev, context: {cluster: here, namespace: shop}}
clusters:
- {name: here, cluster: {server: 'https://here:6443'}}
"""


class Machine:
    """A kubectl in PATH that notes what it was run for, and a kubeconfig.

    Args:
        directory: for all of it.
    """

    def __init__(self, directory: Path) -> None:
        self._notes = directory / "notes"
        self.kubectl = directory / "kubectl"
        self.kubeconfig = directory / "config"
        self.root = directory / "localize"
        self.kubeconfig.write_text(KUBECONFIG)
        self.install(minor="32")

    def install(self, *, minor: str, then: str = "exit 1") -> None:
        """Put a kubectl of that version there; `then` is what it does if not asked for its version."""
        version = json.dumps({"clientVersion": {"minor": minor}})
        self.kubectl.write_text(
            f"#!/bin/sh\necho $1 >>'{self._notes}'\nif [ $1 = version ]; then echo '{version}'; else {then}; fi\n"
        )
        self.kubectl.chmod(0o755)

    def resolve(self, *, save: bool = True) -> Connection:
        """What a command of its own finds out."""
        cache = FileCache(self.root)
        connection = resolve(Arguments(), cache)
        if save:
            cache.save()
        return connection

    def runs(self) -> list[str]:
        """What kubectl was run for."""
        return self._notes.read_text().split() if self._notes.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", str(machine.kubeconfig))
    monkeypatch.setenv("KUBECTL_LOCALIZE_HOME", str(machine.root))
    return machine


def test_kubectl_is_asked_for_its_version_once_and_the_kubeconfig_is_read_directly(machine: Machine) -> None:
    for _ in range(3):
        connection = machine.resolve()
        assert (connection.context, connection.namespace, connection.server) == ("dev", "shop", "https://here:6443")
    assert machine.runs() == ["version"]


def test_another_kubectl_is_asked_again(machine: Machine) -> None:
    machine.resolve()
    machine.install(minor="5")
    with pytest.raises(LocalizeError, match=r"1\.5; .* 1\.27 or later"):
        machine.resolve()
    machine.install(minor="33+")
    machine.resolve()
    assert machine.runs() == ["version"] * 3


def test_a_shim_is_asked_in_each_directory(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("old", "new", "old"):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        assert machine.resolve().directory == str(tmp_path / name)
    assert machine.runs() == ["version"] * 2


def test_a_directory_that_was_deleted_is_none(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert machine.resolve().directory == ""


def test_a_changed_kubeconfig_counts_at_once(machine: Machine) -> None:
    machine.resolve()
    machine.kubeconfig.write_text(KUBECONFIG.replace("https://here:6443", "https://there.example"))
    assert machine.resolve().server == "https://there.example"


def test_a_command_that_does_not_save_leaves_nothing(machine: Machine) -> None:
    machine.resolve(save=False)
    assert not machine.root.exists()


def test_what_is_wrong_with_a_kubeconfig_is_said_by_kubectl(machine: Machine) -> None:
    machine.kubeconfig.write_text("clusters: [")
    machine.install(minor="32", then="echo 'error: error loading config file: yaml: line 1' >&2; exit 1")
    with pytest.raises(LocalizeError, match="kubectl cannot be used: error loading config file: yaml: line 1"):
        machine.resolve()


@pytest.mark.parametrize("output", ["nonsense", "[]"])
def test_a_program_that_is_no_kubectl(machine: Machine, output: str) -> None:
    machine.kubectl.write_text(f"#!/bin/sh\necho '{output}'\n")
    with pytest.raises(LocalizeError, match="does not answer as kubectl does"):
        machine.resolve()


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128", "NO_PROXY": "here"}, ""),
        ({"HTTP_PROXY": "proxy:3128"}, ""),
    ],
)
def test_the_environments_proxy(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: str
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert machine.resolve().proxy == proxy
