"""`kubectl localize restore`: finds what crashed runs of this user left, and undoes it."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.commands.stop import sweep
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing import journal
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.identity import here, lives
from kubectl_localize.host.paths import Paths, RunPaths, make_private
from kubectl_localize.host.process import owner
from kubectl_localize.model import Connection
from kubectl_localize.supervisor.exposing import restoring
from kubectl_localize.supervisor.exposing.search import find
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.tunnel import remove_keys
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.timing import Clock


def run(args: Arguments) -> int:
    """Undo what dead sessions of this user left; name what is left alone.

    Returns: the exit code, 1 where something could not be undone.
    Raises: LocalizeError where the cluster cannot be asked.
    """
    connection = resolve(args)
    console = terminal.stderr_console(args.no_color)
    swept = [] if args.dry_run else _sweep_machine()
    for paths in swept:
        console.line(f"removed what a killed supervisor left in {paths.directory}")
    failures, found = asyncio.run(_restore(args, connection, console))
    for failure in failures:
        terminal.error(failure.message, failure.hint, no_color=args.no_color)
    if not found and not swept:
        console.line("there is nothing to undo")
    return 1 if failures else 0


async def _restore(
    args: Arguments, connection: Connection, console: terminal.Console
) -> tuple[list[LocalizeError], bool]:
    paths = run_paths(connection)
    make_private(paths.directory)
    async with Runtime(connection, paths, _NoGroups()) as runtime:
        return await restore(runtime.api, paths, args, console, runtime.clock)


async def restore(
    api: Api, files: RunPaths, args: Arguments, console: terminal.Console, clock: Clock
) -> tuple[list[LocalizeError], bool]:
    """Undo what is dead in the cluster, and forget what is certainly gone.

    Args:
        files: of the context, with the record of what was begun.

    Returns: what could not be undone or looked for, and whether there was anything, left alone or not.
    Raises: KubectlError where the cluster cannot be asked.
    """
    record = SessionLedger(files.exposures, files.exposures_lock)
    recorded = record.sessions()
    found = await find(api, [*args.namespaces, *recorded.values(), api.connection.namespace])
    now = datetime.now(UTC)
    judged = restoring.judge(found.entries, here(), lives, now)
    failures = found.doubts(recorded)
    for entry in judged.others:
        console.line(f"left alone: {', '.join(entry.services)}, exposed by {journal.describe(entry, now)}")
    for some in judged.early:
        if some[0].session in recorded:
            again = "run `kubectl localize restore` again then"
            failures.append(LocalizeError(restoring.early_in_words(some, now), again))
        else:
            console.line(restoring.early_in_words(some, now))
    if found.namespaces is not None:
        console.line("not all namespaces may be looked at; -n names others")
    there = bool(judged.dead or judged.early or judged.others or failures)
    if args.dry_run:
        for entry in (entry for some in judged.dead for entry in some):
            back = f" back to {entry.replicas}" if entry.replicas is not None else ""
            sys.stdout.write(f"would undo the exposure of {', '.join(entry.services)}: {entry.workload}{back}\n")
        return failures, there
    undone = await restoring.undo(api, judged.dead, clock, console.line)
    gone = undone.sessions - found.unread
    if owner(files.pidfile) is None:  # else a session without a journal may be one that begins
        gone |= {session for session, namespace in recorded.items() if found.is_gone(session, namespace)}
    for session in gone:
        await record.remove(session)
        remove_keys(files.directory, session)
    return [*failures, *undone.failures], there


def _sweep_machine() -> list[RunPaths]:
    """Remove the files of supervisors that are gone; which ones."""
    runs = Paths.from_env(os.environ).all_runs()
    return [paths for paths in runs if owner(paths.pidfile) is None and sweep(paths)]


class _NoGroups:
    """Nothing has to end our kubectl processes: each lives for one request."""

    def add(self, pgid: int) -> None:
        """Do nothing."""

    def remove(self, pgid: int) -> None:
        """Do nothing."""
