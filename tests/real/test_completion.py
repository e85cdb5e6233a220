"""Tab in real shells: after `kubectl localize`, by way of kubectl itself, and after `kubectl-localize`."""

from __future__ import annotations

import json
import shutil
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import service
from tests.real.product import Product, warnings
from tests.real.prompt import open_prompt
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure
from tests.shells import NAMES, Shells

AMAZON = "arn:aws:eks:eu-west-1:1234:cluster/prod"  # holds two of the characters at which bash breaks words
LIMIT_SECONDS = 0.3
GENEROUS_SECONDS = 3.0  # a machine under load proves nothing about the product; the figures do


@pytest.fixture(scope="session")
def shells() -> Shells:
    """zsh, fish and bash's completion."""
    return Shells.of_checkout()


@pytest.fixture
def gallery(cluster: Cluster, namespace: str, sandbox: Sandbox) -> str:
    """The namespace of the sandbox's context, with three Services; there is a second context, too."""
    cluster.apply(namespace, *(service(name, {7080: "http"}) for name in ("showroom", "quarry", "quay")))
    sandbox.kubectl("config", "set-context", "--current", f"--namespace={namespace}")
    config = json.loads(sandbox.kubectl("config", "view", "-o", "json"))
    first = config["contexts"][0]["context"]
    sandbox.kubectl("config", "set-context", AMAZON, f"--cluster={first['cluster']}", f"--user={first['user']}")
    return namespace


def _asked(sandbox: Sandbox, *words: str, env: dict[str, str] | None = None) -> list[str]:
    """What `kubectl localize WORDS<Tab>` offers, as kubectl tells its scripts; the last line is the directive."""
    done = sandbox.run("kubectl", "__complete", "localize", *words, env=env)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "error:" not in done.stderr
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


def _names_files(sandbox: Sandbox) -> list[Path]:
    return sorted((sandbox.home / ".kube" / "localize" / "completion").rglob("*.json"))


# In the shells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", NAMES)
def test_what_is_unique_is_completed(gallery: str, sandbox: Sandbox, shells: Shells, shell: str) -> None:
    """Both ways of calling it, in a real terminal; a word that bash would break, and one in quotes."""
    with open_prompt(sandbox, shells, shell) as prompt:
        for line, completed in (
            ("kubectl localize ex", "kubectl localize expose"),
            ("kubectl-localize ex", "kubectl-localize expose"),
            ("kubectl localize expose sho", "kubectl localize expose showroom"),
            ("kubectl-localize expose sho", "kubectl-localize expose showroom"),
            ("kubectl localize --det", "kubectl localize --detach"),
            ("kubectl localize --context ar", f"kubectl localize --context {AMAZON}"),
            ("kubectl-localize --context ar", f"kubectl-localize --context {AMAZON}"),
            ("kubectl-localize --context=ar", f"kubectl-localize --context={AMAZON}"),
            ("kubectl-localize --context 'ar", f"kubectl-localize --context {AMAZON}"),  # echo shows it without quotes
            (f"kubectl localize -n {gallery[:6]}", f"kubectl localize -n {gallery}"),
            (f"kubectl-localize -n {gallery} expose quar", f"kubectl-localize -n {gallery} expose quarry"),
            (f"kubectl-localize expose {gallery}/quar", f"kubectl-localize expose {gallery}/quarry"),
            ("kubectl-localize --kubeconfig .kube/con", "kubectl-localize --kubeconfig .kube/config"),
            ("kubectl-localize --kubeconfig=.kube/con", "kubectl-localize --kubeconfig=.kube/config"),
            ("kubectl localize expose quarry -- unam", "kubectl localize expose quarry -- uname"),
            ("kubectl-localize expose quarry -- cat .kube/con", "kubectl-localize expose quarry -- cat .kube/config"),
            ("kubectl-localize stop quar", "kubectl-localize stop quar"),
            ("kubectl localize completion ins", "kubectl localize completion install"),
        ):
            assert prompt.complete(line).rstrip() == completed
        assert "Traceback" not in prompt.text


@pytest.mark.parametrize("shell", NAMES)
def test_what_is_not_unique_is_listed(gallery: str, sandbox: Sandbox, shells: Shells, shell: str) -> None:
    context = sandbox.kubectl("config", "current-context").strip()
    with open_prompt(sandbox, shells, shell) as prompt:
        prompt.offers("kubectl localize ", ["expose", "ls", "stop", "showroom", "quarry", "quay"])
        prompt.offers("kubectl localize expose ", ["showroom", "quarry", "quay"])
        prompt.offers("kubectl-localize expose ", ["showroom", "quarry", "quay"])
        prompt.offers("kubectl-localize ls -o ", ["table", "wide", "json", "yaml", "name"])
        prompt.offers("kubectl localize -n ", ["default", "kube-system", gallery])
        prompt.offers("kubectl-localize --context ", [context, AMAZON])
        prompt.offers("kubectl-localize completion ", ["bash", "zsh", "fish", "install"])
        assert "Traceback" not in prompt.text


# What is offered -----------------------------------------------------------------------------------------


def test_the_flags_on_the_line_count(cluster: Cluster, gallery: str, sandbox: Sandbox) -> None:
    """Another namespace, another kubeconfig, and somebody who may list in one namespace only."""
    assert "quarry" in _asked(sandbox, "expose", "")
    assert _asked(sandbox, "-n", "default", "expose", "kub") == ["kubernetes", ":4"]
    assert _asked(sandbox, "--context", AMAZON, "expose", "qua") == [":4"]
    shutil.copy(sandbox.kubeconfig, sandbox.home / "other")
    sandbox.give(sandbox.home / "other")
    sandbox.use("{}")
    assert _asked(sandbox, "expose", "qua") == [":4"]
    assert _asked(sandbox, "--kubeconfig", "~/other", "expose", "qua") == ["quarry", "quay", ":4"]
    assert _asked(sandbox, f"--kubeconfig={sandbox.home}/other", "--context", "ar") == [AMAZON, ":4"]


def test_who_may_list_in_one_namespace_only_is_offered_that(cluster: Cluster, gallery: str, sandbox: Sandbox) -> None:
    cluster.kubectl("create", "rolebinding", "mia", "--clusterrole=view", "--user=mia", f"--namespace={gallery}")
    wait_until("the role", lambda: sandbox.run("kubectl", "--as=mia", "get", "services").returncode == 0, 10)
    assert _asked(sandbox, "--as", "mia", "expose", "qua") == ["quarry", "quay", ":4"]
    assert _asked(sandbox, "--as=mia", "-n", "") == [gallery, ":4"]
    assert _asked(sandbox, "--as=mia", "-n", "default", "expose", "") == [":4"]
    # It is remembered for whom: the administrator sees all of them.
    assert "kube-system" in _asked(sandbox, "-n", "")


def test_what_runs(gallery: str, product: Product) -> None:
    sandbox = product.sandbox
    assert _asked(sandbox, "ls", "") == [":4"]
    product.detach("-n", gallery, "--no-hosts", "--no-sudo")
    context = sandbox.kubectl("config", "current-context").strip()
    assert _asked(sandbox, "ls", "q") == ["quarry", "quay", ":4"]
    assert _asked(sandbox, "ls", "-n", "") == [gallery, ":4"]
    assert _asked(sandbox, "stop", "--context", "") == [context, ":4"]
    assert _asked(sandbox, "expose", "--stop", "") == [":4"], "nothing is exposed"
    product.stop()


# When the cluster is away -----------------------------------------------------------------------------------


@contextmanager
def _silent(sandbox: Sandbox) -> Iterator[None]:
    """Something takes connections at the API server's address, and never answers; then it is as before.

    The cluster's own address stays in the kubeconfig, since it is part of what names are kept under: a proxy that says
    nothing is in between.
    """
    config = json.loads(sandbox.kubectl("config", "view", "--raw", "-o", "json"))
    before = sandbox.kubeconfig.read_text()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config["clusters"][0]["cluster"]["proxy-url"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sandbox.use(json.dumps(config))
        try:
            yield
        finally:
            sandbox.use(before)


def _age(sandbox: Sandbox, seconds: float) -> None:
    """Let what the cluster said be that much older."""
    for file in _names_files(sandbox):
        if file.name.startswith("kubeconfig-"):
            continue
        kept = json.loads(file.read_text())
        aged = {**kept, "listedAt": kept["listedAt"] - seconds, "triedAt": kept["triedAt"] - seconds}
        file.write_text(json.dumps(aged))


@pytest.fixture
def plain(sandbox: Sandbox, old_kubectl: Path) -> dict[str, str]:
    """A PATH with Kubernetes' own kubectl; some others ask the server before they complete anything."""
    return {"PATH": f"{old_kubectl}:{sandbox.env['PATH']}"}


def test_names_come_from_what_was_said_last(
    gallery: str, sandbox: Sandbox, plain: dict[str, str], figure: Figure
) -> None:
    offered = _asked(sandbox, "expose", "qua")
    assert offered == ["quarry", "quay", ":4"]
    assert gallery in _asked(sandbox, "-n", "")
    assert {file.stat().st_mode & 0o777 for file in _names_files(sandbox)} == {0o600}
    assert {file.parent.stat().st_mode & 0o777 for file in _names_files(sandbox)} == {0o700}
    with _silent(sandbox):
        _age(sandbox, 3600)
        start = time.monotonic()
        done = sandbox.run("kubectl_complete-localize", "expose", "qua", env=plain)
        seconds = time.monotonic() - start
        assert (done.stdout, done.stderr) == ("quarry\nquay\n:4\n", "")
        assert seconds < GENEROUS_SECONDS
        again = time.monotonic()
        assert _asked(sandbox, "expose", "qua", env=plain) == offered
        figure(
            f"Tab while the cluster says nothing: {seconds:.2f} s, and then {time.monotonic() - again:.2f} s by way of "
            f"kubectl (wanted {LIMIT_SECONDS:g} s)"
        )
        # What asked the cluster in vain has ended by itself.
        wait_until("end of everything", lambda: sandbox.processes() == [], 10)
        assert gallery in _asked(sandbox, "-n", "", env=plain)
        wait_until("end of everything", lambda: sandbox.processes() == [], 10)


def test_who_knows_nothing_is_told_nothing(gallery: str, sandbox: Sandbox, plain: dict[str, str]) -> None:
    """A cluster that was never reached, no kubeconfig, no kubectl, a home that cannot be written to."""
    with _silent(sandbox):
        assert _asked(sandbox, "expose", "", env=plain) == [":4"]
        assert "expose" in _asked(sandbox, "ex", env=plain)
        wait_until("end of everything", lambda: sandbox.processes() == [], 10)
    nowhere = {"KUBECTL_LOCALIZE_HOME": "/proc/nowhere"}
    assert _asked(sandbox, "expose", "qua", env=nowhere) == [":4"]
    for environment in ({"PATH": str(sandbox.environment.command.parent)}, {"KUBECONFIG": "/nowhere"}):
        done = sandbox.run("kubectl_complete-localize", "expose", "", env=environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, ":4\n", "")
    sandbox.use("clusters: [")
    done = sandbox.run("kubectl_complete-localize", "expose", "")
    assert (done.returncode, done.stdout, done.stderr) == (0, ":4\n", "")


def test_a_new_service_is_offered_within_moments(cluster: Cluster, gallery: str, sandbox: Sandbox) -> None:
    assert _asked(sandbox, "expose", "qua") == ["quarry", "quay", ":4"]
    cluster.apply(gallery, service("quad", {7080: "http"}))
    wait_until("the new Service", lambda: _asked(sandbox, "expose", "qua")[0] == "quad", 30)


def test_how_quick_it_is(gallery: str, sandbox: Sandbox, plain: dict[str, str], figure: Figure) -> None:
    """Beside the interpreter itself: the whole way of kubectl, and ours alone."""
    python = str(sandbox.environment.command.parent / "python")

    def age() -> None:
        _age(sandbox, 3600)

    def forget() -> None:
        for file in _names_files(sandbox):
            file.unlink()

    def median(*argv: str, before: Callable[[], None] = lambda: None) -> float:
        times = []
        for _ in range(5):
            before()
            start = time.monotonic()
            done = sandbox.run(*argv, env=plain)
            times.append(time.monotonic() - start)
            assert done.returncode == 0
        return statistics.median(times)

    bare = median(python, "-c", "pass")
    assert "quarry" in _asked(sandbox, "expose", "", env=plain)
    first = median("kubectl_complete-localize", "expose", "", before=forget)
    first_whole = median("kubectl", "__complete", "localize", "expose", "", before=forget)
    assert "quarry" in _asked(sandbox, "expose", "", env=plain)  # it was not silence that was quick
    kept = median("kubectl_complete-localize", "expose", "")
    asked = median("kubectl_complete-localize", "expose", "", before=age)
    flags = median("kubectl_complete-localize", "ls", "-o", "")
    whole = median("kubectl", "__complete", "localize", "expose", "", before=age)
    kubectl = median("kubectl", "__complete", "versio")
    figure(
        f"Tab (wanted {LIMIT_SECONDS:g} s): Services {kept:.2f} s, asking the cluster anew {asked:.2f} s, by way of "
        f"kubectl {whole:.2f} s; the very first {first:.2f} s, by way of kubectl {first_whole:.2f} s; flag values "
        f"{flags:.2f} s. Beside it: a bare Python {bare:.2f} s, kubectl's completion of its own words {kubectl:.2f} s"
    )
    assert max(kept, asked, flags, whole, first, first_whole) < GENEROUS_SECONDS


# Where only kubectl-localize is in PATH, as after krew -----------------------------------------------------


@pytest.fixture
def krew(gallery: str, sandbox: Sandbox) -> dict[str, str]:
    """A PATH in which kubectl-localize is alone in a directory of the user's, as a link that krew would make."""
    directory = sandbox.home / ".krew" / "bin"
    directory.mkdir(parents=True)
    (directory / "kubectl-localize").symlink_to(sandbox.environment.command)
    for made in (directory, directory.parent):
        sandbox.give(made)
    return {"PATH": f"{directory}:{sandbox.environment.kubectl.parent}:/usr/local/bin:/usr/bin:/bin"}


def test_install(sandbox: Sandbox, krew: dict[str, str]) -> None:
    placed = sandbox.home / ".krew" / "bin" / "kubectl_complete-localize"
    script = sandbox.home / ".local/share/bash-completion/completions/kubectl-localize"
    assert _asked(sandbox, "expose", "sho", env=krew) == [":0"]
    done = sandbox.localize("completion", "install", env=krew)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"placed {placed}, for kubectl localize\n" in done.stderr
    assert f"placed {script}, for kubectl-localize in bash\n" in done.stderr
    assert warnings(done) == []
    assert placed.stat().st_mode & 0o777 == 0o755
    assert _asked(sandbox, "expose", "sho", env=krew) == ["showroom", ":4"]

    before = placed.stat().st_mtime_ns
    again = sandbox.localize("completion", "install", env=krew)
    assert again.returncode == 0
    assert f"{placed} is there already" in again.stderr
    assert "placed" not in again.stderr
    assert placed.stat().st_mtime_ns == before
    placed.write_text(placed.read_text() + "# an older version's\n")
    assert f"placed {placed}" in sandbox.localize("completion", "install", env=krew).stderr
    assert "older" not in placed.read_text()

    done = sandbox.localize("completion", "install", "--remove", env=krew)
    assert f"removed {placed}\n" in done.stderr
    assert not placed.exists()
    assert not script.exists()
    assert _names_files(sandbox) == []
    assert "nothing was placed" in sandbox.localize("completion", "install", "--remove", env=krew).stderr


def test_install_leaves_alone_what_is_somebody_elses(sandbox: Sandbox, krew: dict[str, str]) -> None:
    own = sandbox.home / ".krew" / "bin" / "kubectl_complete-localize"
    own.write_text("#!/bin/sh\necho mine\n")
    own.chmod(0o755)
    sandbox.give(own)
    done = sandbox.localize("completion", "install", env=krew)
    assert done.returncode == 0
    assert [
        text for text in warnings(done) if text.startswith(f"{own} was written by something else and stays as it is")
    ]
    assert sandbox.localize("completion", "install", "--remove", env=krew).returncode == 0
    assert own.read_text() == "#!/bin/sh\necho mine\n"


def test_install_where_the_directory_is_not_the_users(sandbox: Sandbox, gallery: str) -> None:
    """A root-owned directory, and none of the user's in PATH: it says where it was put, and what to add."""
    root = sandbox.root / "opt"
    root.mkdir(mode=0o755)
    (root / "kubectl-localize").symlink_to(sandbox.environment.command)
    path = f"{root}:{sandbox.environment.kubectl.parent}:/usr/bin:/bin"
    done = sandbox.localize("completion", "install", env={"PATH": path})
    usual = sandbox.home / ".local" / "bin"
    assert f"placed {usual}/kubectl_complete-localize" in done.stderr
    assert warnings(done) == [f"{usual} is not in PATH, where kubectl looks: add it"]
    env = {"PATH": f"{usual}:{path}"}
    assert _asked(sandbox, "expose", "sho", env=env) == ["showroom", ":4"]


def test_a_wheel_needs_no_install(sandbox: Sandbox) -> None:
    done = sandbox.localize("completion", "install")
    command = sandbox.environment.command.with_name("kubectl_complete-localize")
    assert f"{command} is there already, for kubectl localize\n" in done.stderr
    assert not (sandbox.home / ".local" / "bin").exists()


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_the_installed_script_is_loaded_by_the_shell_itself(
    sandbox: Sandbox, krew: dict[str, str], shells: Shells, shell: str
) -> None:
    shell_bin = Path(shells.argv(shell)[0]).parent
    env = {"PATH": f"{krew['PATH']}:{shell_bin}"}
    assert sandbox.localize("completion", "install", env=env).returncode == 0
    with open_prompt(sandbox, shells, shell, ours=False) as prompt:
        assert prompt.complete("kubectl-localize expose sho").rstrip() == "kubectl-localize expose showroom"
