"""Changes of kubeconfig files, seen in real ones."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from kubectl_localize.cluster import kubeconfig
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Connection
from kubectl_localize.supervisor.kubeconfig_monitor import KubeconfigMonitor
from kubectl_localize.timing import Clock

CA = "QUJD"


class Stage:
    """A kubeconfig file, a monitor of it, and what that has given to its user."""

    def __init__(self, directory: Path, *, name: str = "config") -> None:
        self.file = directory / name
        self.write("https://127.0.0.1:1000")
        view = kubeconfig.read_view([str(self.file)])
        connection = kubeconfig.connection(view, kubectl="kubectl", kubeconfig=[str(self.file)])
        self.copy = directory / "state" / "copy"
        self.copy.parent.mkdir(exist_ok=True)
        self.refused = ""
        self.given: list[Connection] = []
        self.monitor = KubeconfigMonitor(connection, self, Clock(lambda: 0.0, asyncio.sleep), self.copy)

    def move(self, connection: Connection) -> None:
        if connection.server == self.refused:
            raise LocalizeError("no such server")
        self.given.append(connection)

    def write(self, server: str, *, token: str = "old", ca: str = CA) -> None:
        """Write the file as `kubectl config` does: a new one in its place."""
        document = {
            "current-context": "dev",
            "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        fresh = self.file.with_name("fresh")
        fresh.write_text(yaml.safe_dump(document))
        fresh.replace(self.file)


def test_a_new_port_and_a_new_token_are_given_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.monitor.check()
    assert stage.given == []
    stage.write("https://127.0.0.1:2000")
    stage.monitor.check()
    stage.monitor.check()
    assert [connection.server for connection in stage.given] == ["https://127.0.0.1:2000"]
    stage.write("https://127.0.0.1:2000", token="new")
    stage.monitor.check()
    assert len(stage.given) == 2, "kubectl has to read the token, which nobody else knows"


@pytest.mark.parametrize("text", ["", "contexts: [", "current-context: dev"])
def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path, text: str) -> None:
    stage = Stage(tmp_path)
    stage.file.write_text(text)
    stage.monitor.check()
    assert (stage.given, stage.monitor.problem) == ([], "")
    stage.write("https://127.0.0.1:3000")
    stage.monitor.check()
    assert [connection.server for connection in stage.given] == ["https://127.0.0.1:3000"]


def renamed(stage: Stage) -> None:
    stage.file.write_text(stage.file.read_text().replace("name: dev", "name: development"))


def emptied(stage: Stage) -> None:
    stage.file.write_text("")


def moved_to_another_cluster(stage: Stage) -> None:
    stage.write("https://127.0.0.1:1000", ca="WFla")


def deleted(stage: Stage) -> None:
    stage.file.unlink()


@pytest.mark.parametrize("change", [renamed, emptied, moved_to_another_cluster, deleted])
def test_what_a_kubeconfig_does_not_say_any_more_is_used_on_from_a_copy(
    tmp_path: Path, change: Callable[[Stage], None]
) -> None:
    stage = Stage(tmp_path)
    change(stage)
    stage.monitor.check()
    stage.monitor.check()
    stage.monitor.check()
    [connection] = stage.given
    assert connection.kubeconfig == (str(stage.copy),)
    assert stage.copy.stat().st_mode & 0o777 == 0o600
    copied = json.loads(stage.copy.read_text())
    assert copied["users"] == [{"name": "u", "user": {"token": "old"}}]
    assert "dev" in stage.monitor.problem
    assert str(stage.file) in stage.monitor.problem

    stage.write("https://127.0.0.1:5000", token="new")
    stage.monitor.check()
    assert stage.given[-1].kubeconfig == (str(stage.file),)
    assert (stage.monitor.problem, stage.copy.exists()) == ("", False)


def test_a_copy_goes_with_its_monitor_and_one_of_a_killed_supervisor_with_the_next(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "copy").write_text("of a killed one")
    stage = Stage(tmp_path)
    assert not stage.copy.exists()
    deleted(stage)
    stage.monitor.check()
    assert stage.copy.exists()
    stage.monitor.close()
    assert not stage.copy.exists()


def test_a_server_that_cannot_be_is_passed_over(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.refused = "https://127.0.0.1:x"
    stage.write("https://127.0.0.1:x")
    stage.monitor.check()
    stage.write("https://127.0.0.1:4000")
    stage.monitor.check()
    assert [connection.server for connection in stage.given] == ["https://127.0.0.1:4000"]


def remove_state_directory(stage: Stage, *, looks: int) -> None:
    """Remove it, let the monitor look so often, and make it anew, empty."""
    shutil.rmtree(stage.copy.parent)
    for _ in range(looks):
        stage.monitor.check()
    stage.copy.parent.mkdir(mode=0o700)


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_a_copy_that_is_used_is_made_anew_with_its_directory(tmp_path: Path, looks: int) -> None:
    stage = Stage(tmp_path)
    deleted(stage)
    stage.monitor.check()
    text = stage.copy.read_text()
    remove_state_directory(stage, looks=looks)
    stage.monitor.remake_files()
    assert stage.copy.read_text() == text
    assert stage.copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_what_a_login_gave_is_made_anew_with_its_directory(tmp_path: Path, looks: int) -> None:
    (tmp_path / "state").mkdir()
    stage = Stage(tmp_path, name="state/login")
    text = stage.file.read_text()
    remove_state_directory(stage, looks=looks)
    stage.monitor.remake_files()
    assert stage.file.read_text() == text
    assert stage.file.stat().st_mode & 0o777 == 0o600
    stage.monitor.check()
    assert (stage.monitor.problem, stage.copy.exists()) == ("", False)
    assert all(connection.kubeconfig == (str(stage.file),) for connection in stage.given)


def test_a_kubeconfig_that_its_user_removed_is_not_made_anew(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    deleted(stage)
    remove_state_directory(stage, looks=0)
    stage.monitor.remake_files()
    assert list(stage.copy.parent.iterdir()) == []
    assert not stage.file.exists()
