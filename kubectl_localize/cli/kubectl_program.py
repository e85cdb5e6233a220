"""Which program is kubectl here: the one in PATH, or one that comes with a small Kubernetes under another name."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubectl_localize.errors import LocalizeError

# What follows the program's own name; the first one that is there is taken.
_OTHERS = (
    ("microk8s.kubectl",),
    ("microk8s", "kubectl"),
    ("k3s", "kubectl"),
    ("k0s", "kubectl"),
    ("minikube", "kubectl", "--"),
    ("oc",),
)
_LIKE_KUBECTL = re.compile(r"kubectl[-_.]?v?\d[\d.]*|kubecolor")
_INSTALL = "install it: https://kubernetes.io/docs/tasks/tools/"


@dataclass(frozen=True)
class KubectlProgram:
    """A program that is kubectl.

    Args:
        path: its absolute path.
        words: what stands between it and kubectl's own arguments, such as `kubectl` after `k3s`.
        brings_kubeconfig: whether it uses a kubeconfig of its own if the user names none.
    """

    path: str
    words: tuple[str, ...] = ()
    brings_kubeconfig: bool = False

    @property
    def argv(self) -> list[str]:
        """The beginning of its command lines."""
        return [self.path, *self.words]

    def __str__(self) -> str:
        return " ".join(self.argv)


def find_kubectl() -> KubectlProgram:
    """The kubectl in PATH.

    Raises:
        LocalizeError: there is none.
    """
    path = shutil.which("kubectl")
    if path is not None:
        return KubectlProgram(os.path.abspath(path))
    for name, *words in _OTHERS:
        path = shutil.which(name)
        if path is not None:
            return KubectlProgram(os.path.abspath(path), tuple(words), brings_kubeconfig=name != "oc")
    similar = next(_similar(os.environ), "")
    if similar:
        raise LocalizeError(
            f"kubectl is not in PATH, but {similar} is; programs do not see a shell's aliases",
            f"`ln -s {similar} ~/.local/bin/kubectl` (or into another directory of PATH), or {_INSTALL}",
        )
    raise LocalizeError(
        "kubectl is not in PATH",
        f"{_INSTALL}; if it has another name or is an alias of your shell, link it into PATH as `kubectl`",
    )


def _similar(environ: Mapping[str, str]) -> Iterator[str]:
    """Programs in PATH that are called much like kubectl."""
    for directory in environ.get("PATH", "").split(os.pathsep):
        try:
            names = sorted(os.listdir(directory or "."))
        except OSError:
            continue
        for name in names:
            path = os.path.abspath(os.path.join(directory, name))
            if _LIKE_KUBECTL.fullmatch(name) and os.access(path, os.X_OK):
                yield path
