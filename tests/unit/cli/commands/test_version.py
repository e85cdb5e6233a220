"""`version`: what the commands' words mean."""

from __future__ import annotations

import json

import pytest

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.commands.version import Outcome, Versions, kubectl_arguments, run_command, text_of, understand

BOTH = Outcome(json.dumps({"clientVersion": {"gitVersion": "v1.32.4"}, "serverVersion": {"gitVersion": "v1.35.4"}}))
CLIENT = json.dumps({"clientVersion": {"gitVersion": "v1.32.4"}, "kustomizeVersion": "v5"})
SSH = Outcome(stderr="OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.17 1 Jul 2025\n")
REFUSED = "E1 memcache.go: no\nThe connection to the server localhost:8080 was refused\n"


@pytest.mark.parametrize(
    ("kubectl", "ssh", "client_only", "expected"),
    [
        (BOTH, SSH, False, Versions("1", "v1.32.4", "OpenSSH_9.2p1 Debian-2", "v1.35.4")),
        (Outcome(CLIENT), SSH, True, Versions("1", "v1.32.4", "OpenSSH_9.2p1 Debian-2")),
        (Outcome(CLIENT, REFUSED, 1), SSH, False,
         Versions("1", "v1.32.4", "OpenSSH_9.2p1 Debian-2", None,
                  "The connection to the server localhost:8080 was refused")),
        (Outcome("", "error: context \"x\" does not exist", 1), None, False,
         Versions("1", None, None, None, "context \"x\" does not exist")),
        (None, None, True, Versions("1", None, None)),
        (None, SSH, False, Versions("1", None, "OpenSSH_9.2p1 Debian-2", None, "kubectl is not found")),
        (Outcome("[]"), SSH, False, Versions("1", None, "OpenSSH_9.2p1 Debian-2", None, "kubectl did not print it")),
    ],
)  # fmt: skip
def test_understand(kubectl: Outcome | None, ssh: Outcome | None, client_only: bool, expected: Versions) -> None:
    assert understand("1", kubectl, ssh, client_only=client_only) == expected


def test_for_people() -> None:
    text = text_of(Versions("0.1.0", "v1.32.4", None, "v1.35.4"), "", client_only=False)
    assert text.splitlines() == [
        "kubectl localize: 0.1.0", "kubectl:          v1.32.4", "ssh:              not found",
        "server:           v1.35.4",
    ]  # fmt: skip
    assert "server" not in text_of(Versions("0.1.0", None, None), "", client_only=True)


def test_json() -> None:
    found = json.loads(text_of(Versions("0.1.0", "v1.32.4", None), "json", client_only=False))
    assert found == {
        "apiVersion": "localize/v1", "kind": "Version", "localize": "0.1.0", "kubectl": "v1.32.4", "ssh": None,
        "server": None,
    }  # fmt: skip


def test_kubectl_arguments() -> None:
    assert kubectl_arguments(Arguments(context="c", client=True)) == (
        "--context=c", "version", "-o", "json", "--client"
    )  # fmt: skip
    server = kubectl_arguments(Arguments(context="c"))
    assert "--client" not in server
    assert "--request-timeout=10s" in server


def test_run_command() -> None:
    assert run_command("sh", "-c", "echo out; echo err >&2; exit 3") == Outcome("out\n", "err\n", 3)
    assert run_command("sh", "-c", "cat; tty <&1; echo $KUBERC") == Outcome("not a tty\noff\n", "", 0)
    assert run_command("kubectl-localize-has-no-such-command") is None
