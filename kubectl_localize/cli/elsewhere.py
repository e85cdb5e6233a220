"""What crashed runs of other contexts left, for a `restore` that asks one cluster only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.connection import kubeconfig_files, kubeconfig_view, run_paths
from kubectl_localize.cli.file_cache import FileCache
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.host.process import owner


def left_elsewhere(args: Arguments, here: RunPaths) -> list[LocalizeError]:
    """An error for each other context whose session ledger still has exposures, and in which nothing runs.

    Args:
        args: name the kubeconfig.
        here: the files of the context that was looked at.
    """
    runs = [
        run for run in Paths.from_env(os.environ).all_runs() if run.key != here.key and os.path.exists(run.exposures)
    ]
    runs = [run for run in runs if owner(run.pidfile) is None]
    if not runs:
        return []
    names = _contexts(args)
    return [_unseen(run, names.get(run.key, "")) for run in runs]


def _unseen(run: RunPaths, context: str) -> LocalizeError:
    if context:
        return LocalizeError(
            f"what a crashed run left in context {context} was not looked for",
            f"`kubectl localize restore --context {context}` does that",
        )
    return LocalizeError(
        f"what a crashed run left was not looked for: {run.exposures} names it, but no context of this kubeconfig",
        "`kubectl localize restore --kubeconfig FILE --context NAME` with those that it was begun with;"
        " delete that file if the cluster is gone",
    )


def _contexts(args: Arguments) -> Mapping[str, str]:
    """The contexts of the kubeconfig, by the name of their state directory."""
    from kubectl_localize.cluster.kubeconfig import connection

    files = kubeconfig_files(args.kubeconfig, os.environ)
    names: dict[str, str] = {}
    try:
        view: dict[str, Any] = kubeconfig_view(FileCache(Paths.from_env(os.environ).root), files)
    except LocalizeError:
        return names
    for entry in view["contexts"]:
        try:
            known = connection(view, kubectl="", kubeconfig=files, context=entry["name"])
        except LocalizeError:  # it names no cluster
            continue
        names[run_paths(known).key] = entry["name"]
    return names
