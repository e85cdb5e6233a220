"""Which running supervisor a command means that ends something, also if no kubeconfig knows its context any more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.host.process import owner
from kubectl_localize.ls_document import ExposureItem, LsDocument
from kubectl_localize.model import ServiceKey


@dataclass(frozen=True)
class Meant:
    """What a command line means.

    Args:
        run: the files of its supervisor.
        services: those that are named, with their namespaces.
        namespace: the context's; empty if no kubeconfig knows the context.
    """

    run: RunPaths
    services: tuple[ServiceKey, ...] = ()
    namespace: str = ""


def meant(args: Arguments, names: Sequence[str] = ()) -> Meant:
    """Find what is meant in the kubeconfig; if that fails, among what runs.

    Args:
        names: Services, as `svc` or `ns/svc`.

    Raises:
        LocalizeError: as `resolve`, and it is not clear which supervisor is meant.
    """
    try:
        connection = resolve(args)
    except LocalizeError:
        known = among_running(args.context, names)
        if known is None:
            raise
        return known
    namespace = args.namespaces[-1] if args.namespaces else connection.namespace
    services = tuple(dict.fromkeys(service_key(name, namespace) for name in names))
    return Meant(run_paths(connection), services, connection.namespace)


def among_running(context: str, names: Sequence[str]) -> Meant | None:
    """The only running supervisor that has this context (any, if it is empty) and exposes these Services; else None."""
    possible = []
    for run in Paths.from_env(os.environ).all_runs():
        document = _document(run) if owner(run.pidfile) is not None else None
        if document is None or (context and [one.context for one in document.supervisors] != [context]):
            continue
        exposed = [item for item in document.items if isinstance(item, ExposureItem)]
        services = [
            [ServiceKey(item.namespace, item.name) for item in exposed if name in (item.name, _full_name(item))]
            for name in names
        ]
        if all(len(keys) == 1 for keys in services):
            possible.append(Meant(run, tuple(dict.fromkeys(key for keys in services for key in keys))))
    return possible[0] if len(possible) == 1 else None


def service_key(name: str, namespace: str) -> ServiceKey:
    """The Service that `svc` or `ns/svc` means.

    Args:
        namespace: of one that is written without.
    """
    before, slash, after = name.partition("/")
    return ServiceKey(before, after) if slash else ServiceKey(namespace, name)


def _document(run: RunPaths) -> LsDocument | None:
    try:
        return LsDocument.from_text(run.state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _full_name(item: ExposureItem) -> str:
    return f"{item.namespace}/{item.name}"
