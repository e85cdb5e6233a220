"""`ls`: what is forwarded, from the state files of all supervisors."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.listing.document import Filter, near_names
from kubectl_localize.cli.listing.formats import View, remarks
from kubectl_localize.cli.listing.label_selector import parse_selector
from kubectl_localize.cli.listing.state_files import Reading, read_states, signature
from kubectl_localize.cli.terminal import is_terminal, pause, stderr_console, stdout_color, stdout_width
from kubectl_localize.host.paths import Paths
from kubectl_localize.host.process import owner


def run(args: Arguments) -> int:
    """Prints what runs, once or until Ctrl-C.

    Raises:
        LocalizeError: the label selector is none, or the context neither runs nor is there.
    """
    paths = Paths.from_env(os.environ)
    wanted = Filter(args.context, args.namespaces, args.words, parse_selector(args.selector))
    view = View(args.output or "table", stdout_color(args.no_color), stdout_width())

    def read_all() -> Reading:
        return read_states(paths.all_runs(), owner)

    def read() -> Reading:
        reading = read_all()
        return Reading(wanted.apply(reading.document), reading.warnings)

    if args.watch:
        return _watch(args, view, read, lambda: signature(paths.all_runs(), owner), wanted.narrows_items)
    everything = read_all()
    reading = Reading(wanted.apply(everything.document), everything.warnings)
    if wanted.context and not reading.document["supervisors"]:
        _check_context(args)
    console = stderr_console(args.no_color)
    hint = near_names(wanted, everything.document) if not reading.document["items"] else ""
    for remark in remarks(reading, view, narrowed=wanted.narrows_items, hint=hint):
        remark.say(console)
    sys.stdout.write(view.text(reading.document, _utc_now()))
    return 0


def _check_context(args: Arguments) -> None:
    """Raises LocalizeError where no kubeconfig has the context; what cannot be read says nothing."""
    from kubectl_localize.cli.connection import kubeconfig_files
    from kubectl_localize.cluster.kubeconfig import no_context
    from kubectl_localize.cluster.kubeconfig_files import read_view

    contexts = read_view(kubeconfig_files(args.kubeconfig, os.environ))["contexts"]
    names = [entry["name"] for entry in contexts]
    if names and args.context not in names:
        raise no_context(args.context, names)


def _watch(
    args: Arguments, view: View, read: Callable[[], Reading], changed: Callable[[], object], narrowed: bool
) -> int:
    from kubectl_localize.cli.commands.watch_ls import Watch

    watch = Watch(
        view,
        out=sys.stdout,
        console=stderr_console(args.no_color),
        size=shutil.get_terminal_size if view.is_table and is_terminal(sys.stdout) else None,
        narrowed=narrowed,
        now=_utc_now,
    )
    return watch.run(read, changed, pause)


def _utc_now() -> datetime:
    return datetime.now(UTC)
