"""`version`: prints our version, kubectl's, ssh's and the server's."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from kubectl_localize import __version__
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.kubectl_program import find_kubectl
from kubectl_localize.errors import LocalizeError
from kubectl_localize.json_text import parse_json
from kubectl_localize.text import one_line

NOT_FOUND = "not found"
_LABELS = {"localize": "kubectl localize", "kubectl": "kubectl", "ssh": "ssh", "server": "server"}
_LONGEST_VERSION = 200  # characters
_TIMEOUT_SECONDS = 20
_SERVER_TIMEOUT = "--request-timeout=10s"


@dataclass(frozen=True)
class Outcome:
    """A finished command's output; `exit_code` is None if it did not end in time."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = 0


@dataclass(frozen=True)
class Versions:
    """The versions; None for each that is not known.

    Args:
        server_error: why the server's is missing; empty if it is known or was not asked for.
    """

    localize: str
    kubectl: str | None
    ssh: str | None
    server: str | None = None
    server_error: str = ""


def run(args: Arguments) -> int:
    """Print the versions.

    Raises:
        LocalizeError: the server did not say its version; the others have been printed by then.
    """
    try:
        kubectl = run_command(*find_kubectl().argv, *kubectl_arguments(args))
    except LocalizeError:  # there is none
        kubectl = None
    versions = understand(__version__, kubectl, run_command("ssh", "-V"), client_only=args.client)
    sys.stdout.write(text_of(versions, args.output, client_only=args.client))
    if versions.server_error:
        sys.stdout.flush()
        hint = "is the cluster up, and is it the right context? --client leaves the server out"
        raise LocalizeError(f"the server's version is not known: {versions.server_error}", hint)
    return 0


def kubectl_arguments(args: Arguments) -> tuple[str, ...]:
    """The arguments with which kubectl prints its own version and, unless only that is wanted, the server's."""
    return (*args.connection_flags, "version", "-o", "json", "--client" if args.client else _SERVER_TIMEOUT)


def run_command(name: str, *arguments: str) -> Outcome | None:
    """Run a short command without a terminal; None if there is no such command."""
    import sh

    try:
        command = sh.Command(name)
    except sh.CommandNotFound:
        return None
    environment = {**os.environ, "KUBERC": "off", "KUBECTL_KUBERC": "false"}
    try:
        done = command(
            *arguments, _tty_out=False, _timeout=_TIMEOUT_SECONDS, _env=environment, _in=b"", _return_cmd=True
        )
    except sh.TimeoutException:
        return Outcome(stderr=f"no answer within {_TIMEOUT_SECONDS} s", exit_code=None)
    except sh.ErrorReturnCode as failure:
        return Outcome(_decode(failure.stdout), _decode(failure.stderr), failure.exit_code)
    return Outcome(_decode(done.stdout), _decode(done.stderr), done.exit_code)


def _decode(output: bytes) -> str:
    return output.decode(errors="replace")


def understand(localize: str, kubectl: Outcome | None, ssh: Outcome | None, *, client_only: bool) -> Versions:
    """What the commands' words mean; None stands for a command that is not there."""
    document = _json(kubectl.stdout) if kubectl else {}
    server = _git_version(document, "serverVersion")
    error = ""
    if server is None and not client_only:
        error = "kubectl is not found" if kubectl is None else last_line(kubectl.stderr) or "kubectl did not print it"
    ssh_version = last_line(ssh.stderr or ssh.stdout).partition(",")[0] if ssh else ""
    return Versions(localize, _git_version(document, "clientVersion"), ssh_version or None, server, error)


def _json(text: str) -> dict[str, object]:
    try:
        document = parse_json(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _git_version(document: dict[str, object], key: str) -> str | None:
    version = document.get(key)
    git_version = version.get("gitVersion") if isinstance(version, dict) else None
    return one_line(git_version, _LONGEST_VERSION) if isinstance(git_version, str) else None


def last_line(text: str) -> str:
    """The last line that says something, without kubectl's `error: `."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ").removeprefix("Error from server: ") if lines else ""


def text_of(versions: Versions, output: str, *, client_only: bool) -> str:
    """Format the versions: as lines for people, or for `-o json` or `-o yaml`."""
    document: dict[str, str | None] = {
        "apiVersion": "localize/v1",
        "kind": "Version",
        "localize": versions.localize,
        "kubectl": versions.kubectl,
        "ssh": versions.ssh,
    }
    if not client_only:
        document["server"] = versions.server
    if output == "json":
        return json.dumps(document, indent=4) + "\n"
    if output == "yaml":
        import yaml

        return str(yaml.safe_dump(document, sort_keys=False))
    return _table([(f"{label}:", document[key] or NOT_FOUND) for key, label in _LABELS.items() if key in document])


def _table(rows: Sequence[tuple[str, str]]) -> str:
    """Rows in columns with one blank between them."""
    from tabulate import DataRow, TableFormat, tabulate

    one_blank = TableFormat(None, None, None, None, None, DataRow("", " ", ""), padding=0, with_header_hide=None)
    return tabulate(rows, tablefmt=one_blank, disable_numparse=True) + "\n"
