"""A credential plugin that asks in the terminal (`interactiveMode: Always`): run once, before anything starts.

No kubectl of a supervisor has a terminal. So the plugin is run here, as kubectl would run it, and what it gives is what
they use: a kubeconfig in the state directory (mode 0600), which goes with the supervisor. The protocol is client-go's
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kubectl_localize.cli.terminal import Console, can_ask
from kubectl_localize.cluster.kubeconfig_content import KubeconfigContent
from kubectl_localize.cluster.kubectl import environment, get_raw
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths, write_atomic
from kubectl_localize.host.process import owner
from kubectl_localize.model import Connection

Json = dict[str, Any]
LOGIN_SECONDS = 60.0
_OURS = "kubectl-localize"  # the extension that says which plugin gave the credentials, and until when they last


def logged_in(connection: Connection, paths: RunPaths, console: Console) -> Connection:
    """The connection with the credentials that its plugin gives; its user is asked, unless the supervisor has some.

    Raises:
        LocalizeError: there is no terminal, or the plugin gives no credentials.
    """
    document = KubeconfigContent.read(connection.kubeconfig).alone(connection)
    plugin = document["users"][0]["user"].get("exec")
    if not isinstance(plugin, dict):
        return connection
    if not (owner(paths.pidfile) is not None and _lasts(_text(paths), plugin, datetime.now(UTC))):
        command = str(plugin.get("command"))
        if not can_ask():
            raise LocalizeError(
                f"the credential plugin {command} of context {connection.context} asks in the terminal, and there is"
                " none",
                "start it in a terminal, with -d if it is to go on in the background",
            )
        console.line(f"running the credential plugin {command}")
        write_atomic(paths.login, json.dumps(with_credential(document, run_plugin(document, connection))))
    return replace(connection, kubeconfig=(str(paths.login),))


def run_kubectl(connection: Connection, console: Console) -> bool:
    """Have kubectl run a plugin that asks if there is a terminal, and keeps what it got.

    Returns:
        Whether the API server then took the credentials.
    """
    if not can_ask():
        return False
    console.line("the credentials are not accepted; running the credential plugin in this terminal")
    argv = get_raw(connection, "/version", timeout_seconds=LOGIN_SECONDS)
    return not subprocess.run(
        argv, stdout=subprocess.DEVNULL, env=environment(connection, os.environ), check=False
    ).returncode


def run_plugin(document: Mapping[str, Any], connection: Connection) -> Json:
    """Run a kubeconfig's plugin in this terminal. Returns the status of the ExecCredential that it prints.

    Raises:
        LocalizeError: it cannot be run, fails, or prints something else.
    """
    plugin = document["users"][0]["user"]["exec"]
    argv = [str(plugin.get("command")), *map(str, plugin.get("args") or ())]
    variables = {str(pair["name"]): str(pair["value"]) for pair in plugin.get("env") or ()}
    variables["KUBERNETES_EXEC_INFO"] = json.dumps(exec_info(document))
    hint = "`kubectl auth whoami` has to work first"
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, env={**os.environ, **variables}, check=False)
    except OSError as error:
        why = error.strerror or str(error)
        raise LocalizeError(f"the credential plugin {argv[0]} cannot be run: {why}", hint) from error
    if done.returncode:
        raise LocalizeError(
            f"the credential plugin {argv[0]} of context {connection.context} failed (exit code {done.returncode})",
            hint,
        )
    try:
        status = json.loads(done.stdout)["status"]
        if not (status.get("token") or status.get("clientCertificateData")):
            raise ValueError("it has neither a token nor a certificate")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalizeError(f"the credential plugin {argv[0]} printed no ExecCredential", hint) from error
    credential: Json = status
    return credential


def exec_info(document: Mapping[str, Any]) -> Json:
    """The ExecCredential that a plugin is given: that it may ask and, if it wants that, which cluster it is for."""
    plugin = document["users"][0]["user"]["exec"]
    spec: Json = {"interactive": True}
    if plugin.get("provideClusterInfo"):
        known = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
        cluster = document["clusters"][0]["cluster"]
        spec["cluster"] = {name: cluster[name] for name in known if name in cluster}
    return {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": spec}


def with_credential(document: Mapping[str, Any], status: Mapping[str, Any]) -> Json:
    """The kubeconfig with a plugin's credentials in the plugin's place."""
    (entry,) = document["users"]
    user: Json = {name: value for name, value in entry["user"].items() if name != "exec"}
    if status.get("token"):
        user["token"] = status["token"]
    for field, name in (("clientCertificateData", "client-certificate-data"), ("clientKeyData", "client-key-data")):
        if status.get(field):
            user[name] = base64.b64encode(str(status[field]).encode()).decode()
    ours = {"expires": status.get("expirationTimestamp") or "", "plugin": _mark(entry["user"]["exec"])}
    extensions = [{"name": _OURS, "extension": ours}]
    return {**document, "users": [{"name": entry["name"], "user": user}], "extensions": extensions}


def _lasts(text: str, plugin: Mapping[str, Any], now: datetime) -> bool:
    """Whether a kubeconfig that `with_credential` made holds credentials of this plugin that have not expired."""
    try:
        (ours,) = [entry["extension"] for entry in json.loads(text)["extensions"] if entry["name"] == _OURS]
        expires = datetime.fromisoformat(ours["expires"]) if ours["expires"] else None
        return ours["plugin"] == _mark(plugin) and (expires is None or expires > now)
    except (ValueError, KeyError, TypeError):
        return False


def _mark(plugin: Mapping[str, Any]) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(plugin, sort_keys=True).encode()).hexdigest()


def _text(paths: RunPaths) -> str:
    try:
        return paths.login.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
