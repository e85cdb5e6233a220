"""Everything that keeps `kubectl localize` from starting: one error, one hint, and nothing is left behind."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.real.product import Done, Product, assert_fails
from tests.real.sandbox import Sandbox
from tests.real.shop import Shop

OLD_KUBECTL = """#!/bin/sh
echo '{"clientVersion": {"major": "1", "minor": "26", "gitVersion": "v1.26.15"}, "kustomizeVersion": "v4.5.7"}'
"""


def _files(directory: Path) -> dict[str, bytes]:
    """Everything below a directory, with its content, but for what kubectl itself caches."""
    files = (path for path in sorted(directory.rglob("*")) if "/.kube/cache" not in str(path))
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in files}


def _fail(sandbox: Sandbox, *argv: str, env: Mapping[str, str] | None = None) -> Done:
    """Run a command that is going to fail, and see that nothing of it is left."""
    before = _files(sandbox.home), sandbox.hosts.read_bytes()
    done = sandbox.run(*argv, env=env)
    assert (_files(sandbox.home), sandbox.hosts.read_bytes()) == before
    assert _files(sandbox.root / "tmp") == {}
    assert sandbox.processes() == []
    return done


def _localize(sandbox: Sandbox, *argv: str, env: Mapping[str, str] | None = None) -> Done:
    return _fail(sandbox, "kubectl", "localize", *argv, env=env)


def _directory_with_command(sandbox: Sandbox) -> str:
    """Where the product alone is: no kubectl, nothing of the machine."""
    return str(sandbox.environment.command.parent)


def _change_config(sandbox: Sandbox, **users_or_cluster: str) -> None:
    for word, value in users_or_cluster.items():
        config = json.loads(sandbox.kubectl("config", "view", "--raw", "-o", "json"))
        if word == "server":
            config["clusters"][0]["cluster"]["server"] = value
        else:
            config["users"][0]["user"] = {word: value}
        sandbox.use(json.dumps(config))


def test_no_kubectl(sandbox: Sandbox) -> None:
    done = _fail(sandbox, "kubectl-localize", env={"PATH": _directory_with_command(sandbox)})
    assert_fails(done, "kubectl is not in PATH", "https://kubernetes.io/docs/tasks/tools")


def test_a_kubectl_that_is_too_old(sandbox: Sandbox) -> None:
    script = sandbox.home / "old" / "kubectl"
    script.parent.mkdir(mode=0o755)
    script.write_text(OLD_KUBECTL)
    script.chmod(0o755)
    sandbox.give(script.parent)
    sandbox.give(script)
    path = f"{script.parent}:{_directory_with_command(sandbox)}:/usr/bin:/bin"
    assert_fails(_fail(sandbox, "kubectl-localize", env={"PATH": path}), r"1\.26; .* 1\.27 or later", "newer kubectl")


def test_no_kubeconfig(sandbox: Sandbox) -> None:
    sandbox.kubeconfig.unlink()
    assert_fails(_localize(sandbox), r"no cluster is configured in .*/\.kube/config", "KUBECONFIG")
    assert_fails(_localize(sandbox, "--kubeconfig", "/nowhere"), "no kubeconfig /nowhere", "--kubeconfig")
    assert_fails(_localize(sandbox, env={"KUBECONFIG": "/nowhere"}), "configured in /nowhere", "KUBECONFIG")


def test_a_kubeconfig_that_is_none(sandbox: Sandbox) -> None:
    sandbox.use("clusters: [\n")
    assert_fails(_localize(sandbox), "kubectl cannot be used: .*yaml", "kubectl config view")


def test_unknown_context(sandbox: Sandbox) -> None:
    context = sandbox.kubectl("config", "current-context").strip()
    assert_fails(_localize(sandbox, "--context", f"{context}x"), "no context", f"did you mean {context}")
    assert_fails(_localize(sandbox, "--context", "qqqqqqqqqqqq"), "no context qqqqqqqqqqqq", "get-contexts")
    sandbox.kubectl("config", "unset", "current-context")
    assert_fails(_localize(sandbox), "no context is chosen", "--context")


@pytest.mark.parametrize("detach", [(), ("-d",)])
def test_the_api_server_is_away(sandbox: Sandbox, detach: tuple[str, ...]) -> None:
    with socket.socket() as closed:  # bound and not listening: it refuses for as long as the test runs
        closed.bind(("127.0.0.1", 0))
        _change_config(sandbox, server=f"https://127.0.0.1:{closed.getsockname()[1]}")
        assert_fails(_localize(sandbox, *detach), "API server .* does not answer: .*refused", "kubectl get --raw")


@pytest.mark.parametrize("locale", ["POSIX", "C.UTF-8"])
def test_a_context_that_the_locale_has_no_letters_for(shop: Shop, product: Product, locale: str) -> None:
    sandbox = product.sandbox
    sandbox.kubectl("config", "rename-context", sandbox.kubectl("config", "current-context").strip(), "生产-é")
    ascii_only = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = sandbox.localize("-d", "-n", shop.namespace, "web", env=ascii_only)
    assert done.returncode == 0, done.stderr
    item = product.items()[f"{shop.namespace}/web"]
    assert product.fetch_all(f"http://{item['address']}:7080/")[0].startswith("web-")
    assert sandbox.localize("ls", "-o", "wide", env=ascii_only).returncode == 0
    assert sandbox.localize("stop", env=ascii_only).returncode == 0


def test_a_bad_token(sandbox: Sandbox) -> None:
    _change_config(sandbox, token="nobodys")
    assert_fails(_localize(sandbox), "does not accept your credentials", "log in again")


def test_unknown_namespace(sandbox: Sandbox) -> None:
    assert_fails(_localize(sandbox, "-n", "no-such-namespace"), "no namespace no-such-namespace", "get namespaces")


def test_nothing_is_selected(shop: Shop, sandbox: Sandbox) -> None:
    assert_fails(_localize(sandbox, f"{shop.namespace}/no-such"), "no Service matches .*/no-such in context", "-A")
    assert_fails(_localize(sandbox, "-n", shop.namespace, "-l", "a=nowhere"), "no Service matches -l a=nowhere", "-A")
    assert_fails(_localize(sandbox, "-n", shop.namespace, "--exclude", "*"), "no Service in", "-A")


def test_a_word_that_is_nearly_a_command(sandbox: Sandbox) -> None:
    assert_fails(_localize(sandbox, "stpo"), "no Service matches stpo", "did you mean `kubectl localize stop`")


def test_a_bad_selector(sandbox: Sandbox) -> None:
    assert_fails(_localize(sandbox, "-l", "a=b=c"), "selector|does not understand", "-l app=web")


def test_a_state_directory_that_is_not_writable(sandbox: Sandbox) -> None:
    locked = sandbox.home / "locked"
    locked.mkdir(mode=0o500)
    sandbox.give(locked)
    done = _localize(sandbox, env={"KUBECTL_LOCALIZE_HOME": str(locked / "state")})
    assert_fails(done, "state directory .*/locked/state.* is not writable", "KUBECTL_LOCALIZE_HOME")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--no-such-flag"], "unknown flag --no-such-flag"),
        (["ls", "-o", "xml"], "xml"),
        (["-n"], "needs a value"),
        (["--wait-timeout", "soon"], "soon"),
        (["--max-children", "none"], "none"),
        (["--ip-range", "10.0.0.0/8"], "10.0.0.0/8"),
        (["stop", "--all", "web"], "--all"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2(sandbox: Sandbox, argv: list[str], message: str) -> None:
    assert_fails(_localize(sandbox, *argv), message, code=2)


@pytest.mark.sudo
def test_sudo_in_front_is_refused(sandbox: Sandbox) -> None:
    command = str(sandbox.environment.command)
    assert_fails(_fail(sandbox, "sudo", "-n", command, "ls"), "does not run under sudo", "as yourself", code=2)
