"""`kubectl localize`: forwards the selected Services, until Ctrl-C or in the background (`-d`)."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments, did_you_mean_command
from kubectl_localize.cli.client import Control, discard_new_state_dirs
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.cli.file_cache import FileCache
from kubectl_localize.cli.holder import Holder, Outcome, Question
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.ls_document import ForwardItem, LsDocument
from kubectl_localize.model import Connection, Options, Selection, Status
from kubectl_localize.protocol import ExposureOver, Failed, PrivilegesNeeded, Ready, StartRequest


def run(args: Arguments) -> int:
    """Start or join the supervisor of the context; hold it until Ctrl-C unless `-d`.

    Returns:
        The exit code.

    Raises:
        LocalizeError: nothing could be started, and nothing is left behind; or as `Holder.run_request`.
    """
    forward_options = options(args)
    if args.ip_range:
        from kubectl_localize.host.addresses import validate_range  # with asyncio, which takes 40 ms to import

        validate_range(forward_options.ip_range)
    cache = FileCache(Paths.from_env(os.environ).root)
    connection = resolve(args, cache)
    paths = run_paths(connection)
    start = Start(args, connection, paths, forward_options)
    with discard_new_state_dirs(paths, lambda: start.nothing_happened):
        try:
            return start.run_request(StartRequest(connection, selection(args), forward_options, args.detach))
        finally:
            if not start.nothing_happened:
                cache.save()


class Start(Holder):
    """One run of the command.

    Args:
        args: the command line.
        connection: the cluster.
        paths: the files of its supervisor.
        forward_options: the options that `args` hold.
    """

    while_it = "started"
    ended_hint = "its log says why: {log}"
    release_text = "cleaning up"
    outcomes = (Ready,)

    def __init__(self, args: Arguments, connection: Connection, paths: RunPaths, forward_options: Options) -> None:
        super().__init__(paths, terminal.Steps(terminal.stderr_console(args.no_color), plain=True))
        self._args = args
        self._context = connection.context
        self._options = forward_options

    def go_on(self, outcome: Outcome, control: Control) -> int:
        assert isinstance(outcome, Ready)
        if self._args.detach:
            said = summary(outcome.document, self._context)
            self.console.line(f"{said}; `kubectl localize ls` lists, `kubectl localize stop` ends")
            return 0
        self._show(outcome.document)
        if self.hold(control):
            return 0
        raise LocalizeError(
            "the supervisor has crashed or was killed",
            "what it held is cleaned up; start it again, and see what `kubectl localize logs` says last",
        )

    def answer(self, question: Question) -> bool:
        if self._args.no_sudo or not isinstance(question, PrivilegesNeeded):
            return False
        from kubectl_localize.cli.privileges import start_helper

        return start_helper(question, self._options, self.paths, self.console)

    def hint(self, failure: Failed) -> str:
        """A first word that is nearly a command was probably meant as one."""
        command = did_you_mean_command(self._args.words[0]) if self._args.words else None
        return f"did you mean `kubectl localize {command}`?" if command else failure.hint

    def over(self, event: ExposureOver) -> None:
        if event.message:
            self.console.warning(event.message)

    def _show(self, document: LsDocument) -> None:
        from kubectl_localize.cli.listing.table import render_table

        sys.stdout.write(
            render_table(
                document,
                wide=False,
                color=terminal.stdout_color(self._args.no_color),
                width=terminal.stdout_width(),
                now=datetime.now(UTC),
            )
        )
        sys.stdout.flush()
        self.console.line("Ctrl-C ends it")


def selection(args: Arguments) -> Selection:
    """Which Services are meant; `-A` widens over `-n`, as with kubectl."""
    return Selection(
        namespaces=() if args.all_namespaces else tuple(dict.fromkeys(args.namespaces)),
        all_namespaces=args.all_namespaces,
        label_selector=args.selector,
        skip_namespaces=args.skip_namespaces,
        patterns=args.words,
        exclude=args.exclude,
    )


def options(args: Arguments) -> Options:
    """How the forwards are to be made; a relative hosts file becomes an absolute path."""
    default = Options()
    idle, wait = args.idle_timeout, args.wait_timeout
    return Options(
        hosts=not args.no_hosts,
        hosts_file=os.path.abspath(args.hosts_file) if args.hosts_file else default.hosts_file,
        allow_other_users=args.allow_other_users,
        ip_range=args.ip_range or default.ip_range,
        cluster_domain=args.cluster_domain or default.cluster_domain,
        idle_timeout_seconds=default.idle_timeout_seconds if idle is None else idle,
        max_children=args.max_children or default.max_children,
        wait_timeout_seconds=default.wait_timeout_seconds if wait is None else wait,
    )


def summary(document: LsDocument, context: str) -> str:
    """How many Services are forwarded, and how many are not: they cannot be, or no port of theirs is free here."""
    forwards = [item for item in document.items if isinstance(item, ForwardItem)]
    possible = [item for item in forwards if item.status is not Status.SKIPPED]
    deaf = sum(_listens_nowhere(item) for item in possible)
    skipped = len(forwards) - len(possible)
    more = [f"{skipped} more cannot be forwarded"] if skipped else []
    more += [f"{deaf} more cannot listen here"] if deaf else []
    forwarded = f"{_count(len(possible) - deaf, 'Service')} of context {context} forwarded"
    return f"{forwarded} ({', '.join(more)})" if more else forwarded


def _listens_nowhere(item: ForwardItem) -> bool:
    """Whether no port of a Service could be bound; a port that waits for its first pod has not failed."""
    ports = [port for port in item.ports if port.status is not Status.SKIPPED]
    return all(port.status is Status.BACKOFF and not port.local_port for port in ports)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
