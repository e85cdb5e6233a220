"""`ls`: lists what is forwarded and exposed, from the state files of all supervisors."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.listing.document import Filter, StateFiles, near_names, unmatched_names
from kubectl_localize.cli.listing.formats import View, remarks
from kubectl_localize.cli.streams import write_with_sequences
from kubectl_localize.cli.terminal import can_redraw, pause, stderr_console, stdout_color, stdout_width
from kubectl_localize.host.paths import Paths
from kubectl_localize.host.process import owner
from kubectl_localize.label_selector import parse_selector


def run(args: Arguments) -> int:
    """Print what runs, once or until Ctrl-C.

    Raises:
        LocalizeError: the text of `-l` is no selector, or nothing runs in the context and no kubeconfig has it; or,
            with `--cluster`, the cluster cannot be asked.
    """
    if args.whole_cluster:
        from kubectl_localize.cli.commands import ls_cluster

        return ls_cluster.run(args)
    states = StateFiles(Paths.from_env(os.environ), owner)
    namespaces = () if args.all_namespaces else args.namespaces
    wanted = Filter(args.context, namespaces, args.words, parse_selector(args.selector))
    view = View(
        args.output or "table",
        stdout_color(args.no_color),
        stdout_width(),
        headers=not args.no_headers,
        folds=not args.everything and not args.words,
    )
    if args.watch:
        return _watch(args, states, wanted, view)
    everything = states.read()
    reading = replace(everything, document=wanted.apply(everything.document))
    if wanted.context and not reading.document.supervisors:
        _check_context(args)
    console = stderr_console(args.no_color)
    hint = near_names(wanted, everything.document) if not reading.document.items else ""
    for remark in remarks(reading, view, narrowed=wanted.narrows_items, hint=hint):
        remark.say(console)
    for sentence in unmatched_names(wanted, everything.document) if reading.document.items else ():
        console.warning(sentence)
    write_with_sequences(sys.stdout, view.text(reading.document, _utc_now()))
    return 0


def _check_context(args: Arguments) -> None:
    """Raise LocalizeError if no kubeconfig has the context; files that cannot be read are no reason to."""
    from kubectl_localize.cli.connection import kubeconfig_files
    from kubectl_localize.cluster.kubeconfig import no_context, read_view

    contexts = read_view(kubeconfig_files(args.kubeconfig, os.environ))["contexts"]
    names = [entry["name"] for entry in contexts]
    if names and args.context not in names:
        raise no_context(args.context, names)


def _watch(args: Arguments, states: StateFiles, wanted: Filter, view: View) -> int:
    import shutil

    from kubectl_localize.cli.listing.watch import Watch

    watch = Watch(
        states,
        wanted,
        view,
        out=sys.stdout,
        console=stderr_console(args.no_color),
        size=shutil.get_terminal_size if view.is_table and can_redraw(sys.stdout) else None,
        now=_utc_now,
    )
    return watch.run(pause)


def _utc_now() -> datetime:
    return datetime.now(UTC)
