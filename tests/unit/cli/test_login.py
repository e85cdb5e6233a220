"""A credential plugin that asks in the terminal: what it is given, and what becomes of what it gives."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cli.login import exec_info, logged_in, run_plugin, with_credential
from kubectl_localize.cli.terminal import Console
from kubectl_localize.cluster.kubeconfig import connection as connect
from kubectl_localize.cluster.kubeconfig import read_view
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import Pidfile
from kubectl_localize.model import Connection

VERSION = "client.authentication.k8s.io/v1"
GIVES = {"apiVersion": VERSION, "kind": "ExecCredential", "status": {"token": "secret"}}


def kubeconfig(plugin: dict[str, Any]) -> dict[str, Any]:
    cluster = {"server": "https://c", "certificate-authority-data": "Q0E=", "extensions": []}
    return {
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"exec": {"apiVersion": VERSION, "interactiveMode": "Always", **plugin}}}],
    }


def connection(directory: Path, plugin: dict[str, Any]) -> Connection:
    file = directory / "config"
    file.write_text(json.dumps(kubeconfig(plugin)))
    return connect(read_view([str(file)]), kubectl="kubectl", kubeconfig=[str(file)])


def says(text: str) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-c", f"print({text!r})"]}


@pytest.mark.parametrize(
    ("mode", "asks", "may_ask"),
    [("Always", True, False), ("IfAvailable", False, True), ("Never", False, False), ("", False, True)],
)
def test_a_plugins_mode_says_whether_it_asks(tmp_path: Path, mode: str, asks: bool, may_ask: bool) -> None:
    known = connection(tmp_path, {"command": "aws", "interactiveMode": mode})
    assert (known.asks, known.may_ask) == (asks, may_ask)


def test_a_plugin_hears_of_its_cluster_if_it_wants_to() -> None:
    assert exec_info(kubeconfig({"command": "x"}))["spec"] == {"interactive": True}
    spec = exec_info(kubeconfig({"command": "x", "provideClusterInfo": True}))["spec"]
    assert spec["cluster"] == {"server": "https://c", "certificate-authority-data": "Q0E="}


def test_a_plugin_is_run_with_its_own_variables(tmp_path: Path) -> None:
    code = (
        "import json, os; info = json.loads(os.environ['KUBERNETES_EXEC_INFO']);"
        " print(json.dumps({'status': {'token': os.environ['MINE'] + info['apiVersion']}}))"
    )
    plugin = {"command": sys.executable, "args": ["-c", code], "env": [{"name": "MINE", "value": "my "}]}
    assert run_plugin(kubeconfig(plugin), connection(tmp_path, plugin)) == {"token": f"my {VERSION}"}


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ({"command": "/nowhere/aws"}, "/nowhere/aws cannot be run: No such file"),
        ({"command": "false"}, r"false of context dev failed \(exit code 1\)"),
        (says("welcome"), "printed no ExecCredential"),
        (says("[]"), "printed no ExecCredential"),
        (says('{"status": {}}'), "printed no ExecCredential"),
    ],
)
def test_a_plugin_that_gives_nothing_is_an_error(tmp_path: Path, plugin: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalizeError, match=message):
        run_plugin(kubeconfig(plugin), connection(tmp_path, plugin))


def test_what_it_gives_takes_the_plugins_place() -> None:
    given = {"token": "t", "clientCertificateData": "CERT", "clientKeyData": "KEY"}
    user = with_credential(kubeconfig({"command": "x"}), given)["users"][0]["user"]
    assert user == {"token": "t", "client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ"}


def test_without_a_terminal_it_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(LocalizeError, match="credential plugin aws of context dev asks in the terminal"):
        logged_in(connection(tmp_path, {"command": "aws"}), RunPaths(tmp_path), Console(sys.stderr))


@pytest.mark.parametrize(
    ("status", "plugin", "asks_again"),
    [
        ({"token": "t"}, {"command": "aws"}, False),
        ({"token": "t", "expirationTimestamp": "2999-01-01T00:00:00Z"}, {"command": "aws"}, False),
        ({"token": "t", "expirationTimestamp": "2001-01-01T00:00:00Z"}, {"command": "aws"}, True),
        ({"token": "t"}, {"command": "another"}, True),
    ],
)
def test_what_a_running_supervisor_has_is_used_while_it_lasts(
    tmp_path: Path, status: dict[str, Any], plugin: dict[str, Any], asks_again: bool
) -> None:
    paths = RunPaths(tmp_path)
    known = connection(tmp_path, plugin)
    document = with_credential(kubeconfig({"command": "aws"}), status)
    paths.login.write_text(json.dumps(document))
    console = Console(sys.stderr)
    with pytest.raises(LocalizeError):  # nobody runs that could use it
        logged_in(known, paths, console)
    pidfile = Pidfile.acquire(paths.pidfile)
    assert pidfile is not None
    try:
        if asks_again:
            with pytest.raises(LocalizeError):
                logged_in(known, paths, console)
        else:
            assert logged_in(known, paths, console) == replace(known, kubeconfig=(str(paths.login),))
    finally:
        pidfile.leave()
