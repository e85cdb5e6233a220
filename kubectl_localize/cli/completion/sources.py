"""Where completion has its names from: the kubeconfig, the state files of what runs, the cluster, and PATH.

What a source needs is imported where it is asked: most lines need none or one of them, and a Tab has no time to lose.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kubectl_localize.cli.completion.candidates import Running
from kubectl_localize.cli.completion.line import Line
from kubectl_localize.errors import LocalizeError

if TYPE_CHECKING:
    from kubectl_localize.cli.completion.asking import Asking
    from kubectl_localize.model import Connection


class Sources:
    """What is known to one user of the cluster that a line means; see `candidates.Known`.

    Args:
        line: its connection flags count.
        environ: the user's environment.
    """

    def __init__(self, line: Line, environ: Mapping[str, str]) -> None:
        self._line = line
        self._environ = environ

    def of_kubeconfig(self, kind: str) -> Sequence[str]:
        """The names of all contexts, clusters or users."""
        return [entry["name"] for entry in self._view[f"{kind}s"]]

    def context(self) -> str:
        """The name of the context that the flags mean; empty where there is none."""
        return self._line.value("context") or str(self._view["current-context"])

    def namespace(self) -> str:
        """The context's namespace."""
        return self._connection.namespace if self._connection else "default"

    def namespaces(self) -> Sequence[str]:
        """The cluster's namespaces; where they may not be listed, those that are known otherwise."""
        listed = self._asking.names("namespaces") if self._asking else None
        if listed is not None and listed.names:
            return listed.names
        running = {one.namespace for one in self.running() if one.context == self.context()}
        return sorted({self.namespace(), *running})

    def services(self, namespace: str) -> Sequence[str]:
        """The cluster's Services as `ns/svc`; where they may not all be listed, those of the namespace."""
        if self._asking is None:
            return ()
        everywhere = self._asking.names("services")
        if not everywhere.forbidden or "/" in namespace:
            return everywhere.names
        return self._asking.names("services", namespace).names

    def running(self) -> Sequence[Running]:
        """What the state files of the living supervisors say."""
        return self._running

    def programs(self, prefix: str) -> Sequence[str]:
        """The commands in PATH that begin so."""
        found: set[str] = set()
        for directory in self._environ.get("PATH", "").split(os.pathsep):
            try:
                names = os.listdir(directory)
            except OSError:
                continue
            found.update(
                name for name in names if name.startswith(prefix) and os.access(os.path.join(directory, name), os.X_OK)
            )
        return sorted(found)

    @property
    def _keeps_nothing(self) -> bool:
        """In a root shell of sudo's, what is kept would be root's, in the user's home."""
        from kubectl_localize.cli.main import is_sudo

        return is_sudo(os.geteuid(), self._environ)

    @cached_property
    def _files(self) -> tuple[str, ...]:
        from kubectl_localize.cli.connection import kubeconfig_files

        # As the shell would hand it over: with `=` in between it has not looked at it yet.
        path = os.path.expanduser(os.path.expandvars(self._line.value("kubeconfig")))
        return kubeconfig_files(path, self._environ)

    @cached_property
    def _view(self) -> dict[str, Any]:
        from kubectl_localize.cli.connection import kubeconfig_view
        from kubectl_localize.cli.file_cache import FileCache
        from kubectl_localize.host.paths import Paths

        cache = FileCache(Paths.from_env(self._environ).root)
        view = kubeconfig_view(cache, self._files)
        if not self._keeps_nothing:
            cache.save()
        return view

    @cached_property
    def _connection(self) -> Connection | None:
        from kubectl_localize.cli.connection import find_kubectl
        from kubectl_localize.cluster import kubeconfig

        line = self._line
        try:
            return kubeconfig.connection(
                self._view,
                kubectl=find_kubectl(),
                kubeconfig=self._files,
                context=line.value("context"),
                cluster=line.value("cluster"),
                user=line.value("user"),
                impersonate=line.value("as"),
                impersonate_groups=line.values("as-group"),
            )
        except LocalizeError:
            return None

    @cached_property
    def _asking(self) -> Asking | None:
        if self._connection is None or self._keeps_nothing:
            return None
        from kubectl_localize.cli.completion.asking import Asking
        from kubectl_localize.cli.completion.cache import NameCache, cache_key
        from kubectl_localize.host.paths import Paths

        root = Paths.from_env(self._environ).root
        cache = NameCache(root, cache_key(self._connection, os.getuid(), root))
        return Asking(self._connection, cache, self._environ)

    @cached_property
    def _running(self) -> list[Running]:
        from kubectl_localize.host.paths import Paths

        paths = Paths.from_env(self._environ)
        if not paths.all_runs():
            return []
        from kubectl_localize.cli.listing.document import StateFiles
        from kubectl_localize.host.process import owner

        return [
            Running(item.context, item.namespace, item.name, item.kind == "Exposure")
            for item in StateFiles(paths, owner).read().document.items
        ]
