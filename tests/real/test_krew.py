"""Installed by the real krew: validated, installed, used for all that it does, upgraded under way, and taken away."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_localize import __version__
from tests.cluster.commands import wait_until
from tests.environment import Environment
from tests.real.archives import archive_for_this_machine
from tests.real.cluster import Cluster
from tests.real.exposing import Local, check_nothing_left, expose, replicas
from tests.real.krew import Krew, served
from tests.real.manifests import deployment, service
from tests.real.product import Product, warnings
from tests.real.sandbox import Sandbox
from tests.releases import OLDER, Releases

# The first time krew itself is built, too.
pytestmark = [pytest.mark.sudo, pytest.mark.timeout(900), pytest.mark.xdist_group("krew")]

PORT = 7080


@pytest.fixture(scope="session")
def programs() -> Path:
    """The directory with krew and the validator of its manifests."""
    return Environment.of_checkout().krew()


@pytest.fixture
def krew(sandbox: Sandbox, programs: Path) -> Krew:
    """krew on a laptop that has nothing else of ours."""
    return Krew(sandbox, programs)


@pytest.fixture(scope="module")
def downloads(releases: Releases) -> Iterator[str]:
    """Where both releases' archives can be downloaded."""
    releases.current(), releases.older()
    with served(releases.root) as url:
        yield url


@pytest.fixture
def installed(krew: Krew, releases: Releases, downloads: str) -> Product:
    """The product of this checkout as krew has installed it from its index."""
    krew.publish(krew.manifest(releases.current(), f"{downloads}/current"))
    krew.must("update")
    krew.must("install", "localize")
    return Product(krew.sandbox)


def _web(cluster: Cluster, namespace: str, *ports: int) -> None:
    cluster.apply(namespace, deployment("web"), service("web", dict.fromkeys(ports, "http")))
    cluster.wait_ready(namespace, "deployment/web")


def _environment(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/environ").read_bytes().decode()
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def _argv(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def test_the_manifest_is_valid(krew: Krew, releases: Releases, downloads: str) -> None:
    manifest = krew.manifest(releases.current(), f"{downloads}/current")
    done = krew.validate(manifest)
    assert done.returncode == 0, done.stderr
    assert "all 4 spec.platforms installed fine" in done.stderr
    for said in ("structural validation OK", "no overlapping spec.platform[].selector"):
        assert said in done.stderr
    assert "exceeds" not in done.stderr, "a line of a text is too long for krew"

    manifest.write_text(re.sub('sha256: "[0-9a-f]', 'sha256: "x', manifest.read_text(), count=1))
    assert krew.validate(manifest).returncode != 0


def test_it_installs_offline_from_a_manifest_and_an_archive(krew: Krew, releases: Releases, downloads: str) -> None:
    release = releases.current()
    manifest = krew.manifest(release, "https://nowhere.invalid")
    archive = krew.sandbox.root / archive_for_this_machine(release).name
    archive.write_bytes(archive_for_this_machine(release).read_bytes())
    said = krew.must("install", f"--manifest={manifest}", f"--archive={archive}")
    assert "Installed plugin: localize" in said
    assert "Needs Python 3.11 or later" in said
    assert "rm -r ~/.kube/localize" in said
    assert krew.command.is_symlink()
    version = krew.sandbox.localize("version", "--client")
    assert version.returncode == 0, version.stderr
    assert f"kubectl localize: {__version__}\n" in version.stdout
    assert krew.sandbox.localize("--help").stdout.startswith("usage: kubectl localize ")


def test_it_forwards_by_name_and_on_low_ports(cluster: Cluster, namespace: str, installed: Product) -> None:
    _web(cluster, namespace, 80, PORT)
    sandbox = installed.sandbox
    done = installed.detach("-n", namespace)
    assert warnings(done) == []
    (pod,) = cluster.pods(namespace, "web")
    for url in (f"http://web.{namespace}/", f"http://web.{namespace}.svc.cluster.local:{PORT}/"):
        assert sandbox.fetch(url) == pod
    assert "web" in installed.ls()

    program = str(sandbox.home / ".kube" / "localize" / "program")
    (helper,) = [process for process in sandbox.processes() if "helper.py" in process.command]
    assert os.stat(f"/proc/{helper.pid}").st_uid == 0
    assert program in helper.command
    assert any(word.startswith(program) for word in _argv(installed.pid()))
    (child,) = [process for process in sandbox.processes() if "port-forward" in process.command]
    for pid in (installed.pid(), child.pid):
        assert not [name for name in _environment(pid) if name.startswith("PYTHON")]
    installed.stop()


def test_it_exposes_a_local_command(cluster: Cluster, namespace: str, installed: Product) -> None:
    _web(cluster, namespace, PORT)
    sandbox = installed.sandbox
    with Local(sandbox) as local:
        done = expose(sandbox, "-d", f"{namespace}/web", "--map", str(local.port))
        assert done.returncode == 0, done.stderr
        path = f"/api/v1/namespaces/{namespace}/services/web:{PORT}/proxy/"
        assert cluster.kubectl("get", "--raw", path).strip() == "local"
        assert "Exposed" in installed.ls()
        stopped = expose(sandbox, "--stop", f"{namespace}/web")
        assert stopped.returncode == 0, stopped.stderr
        seen = expose(sandbox, f"{namespace}/web", "--map", str(local.port), "--", "/usr/bin/env")
    assert seen.returncode == 0, seen.stderr
    assert "POD_NAME=" in seen.stdout, "the environment is the container's"
    assert "PYTHON" not in seen.stdout
    assert replicas(cluster, namespace, "deployment/web") == 1
    check_nothing_left(cluster, namespace)


def test_tab_is_one_command_away(cluster: Cluster, namespace: str, krew: Krew, installed: Product) -> None:
    _web(cluster, namespace, PORT)
    sandbox = installed.sandbox
    assert "expose" not in sandbox.kubectl("__complete", "localize", "ex"), "krew links one file only"
    done = sandbox.localize("completion", "install")
    assert done.returncode == 0, done.stderr
    placed = krew.root / "bin" / "kubectl_complete-localize"
    assert f"placed {placed}" in done.stderr
    assert "program" not in placed.read_text(), "that path changes with every version"
    assert sandbox.kubectl("__complete", "localize", "exp").splitlines()[0].startswith("expose")
    offered = sandbox.kubectl("__complete", "localize", "expose", f"{namespace}/")
    assert f"{namespace}/web" in [line.partition("\t")[0] for line in offered.splitlines()]
    removed = sandbox.localize("completion", "install", "--remove")
    assert f"removed {placed}" in removed.stderr
    assert not placed.exists()


def test_an_upgrade_leaves_what_runs_alone_and_the_new_version_says_so(
    cluster: Cluster, namespace: str, krew: Krew, releases: Releases, downloads: str
) -> None:
    _web(cluster, namespace, PORT)
    (pod,) = cluster.pods(namespace, "web")
    url = f"http://web.{namespace}:{PORT}/"
    product, sandbox = Product(krew.sandbox), krew.sandbox
    program = sandbox.home / ".kube" / "localize" / "program"
    krew.publish(krew.manifest(releases.older(), f"{downloads}/older"))
    krew.must("update")
    krew.must("install", "localize")
    product.detach("-n", namespace)
    pid = product.pid()
    (old,) = program.glob(f"{OLDER}-*")

    krew.publish(krew.manifest(releases.current(), f"{downloads}/current"))
    krew.must("update")
    assert "Upgraded plugin: localize" in krew.must("upgrade", "localize")
    assert f"kubectl localize: {__version__}\n" in sandbox.localize("version", "--client").stdout
    assert not (krew.root / "store" / "localize" / f"v{OLDER}").exists()

    listed = sandbox.localize("ls")
    assert listed.returncode == 0, listed.stderr
    said = f"the supervisor (pid {pid}) is of version {OLDER}, this is {__version__}"
    assert [text for text in warnings(listed) if text.startswith(said)], listed.stderr
    assert re.search(r"^\S+ +web +(Idle|Active) ", listed.stdout, re.MULTILINE)
    assert old.exists()
    assert sandbox.fetch(url) == pod, "a kubectl that the old supervisor starts only now"
    assert product.document()["supervisors"][0]["version"] == OLDER

    assert warnings(product.stop()) == [said]
    wait_until("end of the old supervisor", lambda: not sandbox.processes(), 10)
    assert warnings(product.detach("-n", namespace)) == []
    assert product.document()["supervisors"][0]["version"] == __version__
    assert not old.exists()
    assert sandbox.fetch(url) == pod
    product.stop()


def test_uninstalling_and_what_the_caveats_name_leave_nothing(
    cluster: Cluster, namespace: str, krew: Krew, installed: Product
) -> None:
    _web(cluster, namespace, PORT)
    sandbox = installed.sandbox
    kube = {path.name for path in (sandbox.home / ".kube").iterdir()} - {"localize"}
    installed.detach("-n", namespace)
    assert sandbox.localize("completion", "install").returncode == 0
    assert installed.stop("--all").returncode == 0
    assert sandbox.localize("completion", "install", "--remove").returncode == 0
    krew.must("uninstall", "localize")
    assert not krew.command.is_symlink()
    assert not [path for path in krew.root.rglob("*localize*") if "index" not in path.parts]
    assert sandbox.processes() == []
    assert sandbox.run("rm", "-r", f"{sandbox.home}/.kube/localize").returncode == 0
    left = [path for path in sandbox.root.rglob("*localize*") if not {"index", "etc"} & set(path.parts)]
    assert [path for path in left if not path.is_relative_to(sandbox.root / f"manifest-{__version__}")] == []
    assert {path.name for path in (sandbox.home / ".kube").iterdir()} <= kube | {"cache"}, "kubectl's own"
