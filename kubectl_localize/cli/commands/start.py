"""`kubectl localize`: forwards the selected Services, in the foreground or with a supervisor that stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments, did_you_mean_command
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.cli.control.client import ANSWER_SECONDS, Control, another, connect, spawn, wait_ended
from kubectl_localize.cli.control.farewell import wait_for_release
from kubectl_localize.cli.discard import discard_new_state_dirs
from kubectl_localize.cli.file_cache import FileCache
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.addresses import validate_range
from kubectl_localize.host.paths import Paths, RunPaths, make_private
from kubectl_localize.host.process import owner
from kubectl_localize.ls_document import ForwardItem, LsDocument
from kubectl_localize.model import Connection, Options, Selection
from kubectl_localize.protocol import (
    Accepted,
    Answer,
    Change,
    Ended,
    ExposureOver,
    Failed,
    PrivilegesNeeded,
    Progress,
    Ready,
    Released,
    ReleaseRequest,
    StartRequest,
    Taken,
    Warn,
)
from kubectl_localize.status import Status


def run(args: Arguments) -> int:
    """Start or join the supervisor of the context; hold it until Ctrl-C unless `-d`.

    Returns: the exit code.
    Raises: LocalizeError where nothing could be started, which leaves nothing behind, and as `Start.run`.
    """
    wanted, how = selection(args), options(args)
    validate_range(how.ip_range)
    cache = FileCache(Paths.from_env(os.environ).root)
    connection = resolve(args, cache)
    paths = run_paths(connection)
    start = Start(args, connection, paths, how)
    with discard_new_state_dirs(paths, lambda: start.nothing_happened):
        make_private(paths.directory.parent)
        make_private(paths.directory)
        try:
            return start.run(StartRequest(connection, wanted, how, args.detach))
        finally:
            if not start.nothing_happened:
                cache.save()


class Start:
    """One run of the command, from the request to the end.

    Args:
        connection: the cluster.
        paths: the files of its supervisor.
        how: the options that `args` hold.
    """

    def __init__(self, args: Arguments, connection: Connection, paths: RunPaths, how: Options) -> None:
        self._args = args
        self._connection = connection
        self.nothing_happened = True  # and so nothing is left behind either, a log that says why included
        self._paths = paths
        self._how = how
        self._console = terminal.stderr_console(args.no_color)
        self._progress = terminal.Progress(self._console)

    def run(self, request: StartRequest) -> int:
        """Ask for it, and hold it until Ctrl-C unless `-d`; the exit code.

        Raises: LocalizeError where it cannot be started or crashes, and as `hear_out` does.
        """
        control = connect(self._paths) or spawn(self._paths)
        signal.signal(signal.SIGTERM, _as_ctrl_c)
        try:
            ready = self._until_ready(control, request)
            while ready is None:
                control.close()
                control = another(self._paths)
                ready = self._until_ready(control, request)
        except KeyboardInterrupt:
            self._progress.done()
            self._release(control)
            return 130
        except LocalizeError:
            control.close()
            raise
        if self._args.detach:
            self._summary(ready)
            return 0
        return self._hold(control, ready)

    def _until_ready(self, control: Control, request: StartRequest) -> LsDocument | None:
        """The document once everything is up; None where another supervisor has to be asked.

        That is so when two commands start at the same moment, or while the last supervisor is still ending; not after
        one has accepted it, which was stopped then.
        """
        control.patient(ANSWER_SECONDS)
        control.send(request)
        answered = accepted = False
        for event in control.events():
            if not answered:
                control.patient(None)
                answered = True
            match event:
                case Progress(text):
                    self._progress.step(text)
                case Warn(text):
                    self._console.warning(text)
                case PrivilegesNeeded():
                    self._progress.done()
                    control.send(Answer(event.question, self._get_helper(event)))
                case Failed():
                    raise self._refused(control, event)
                case Accepted():
                    accepted = True
                case Ended() if accepted:
                    self._progress.done()
                    wait_ended(self._paths)
                    raise LocalizeError("the supervisor was stopped while it started")
                case Taken() | Ended():
                    return None
                case Ready(document):
                    self._progress.done()
                    self.nothing_happened = False
                    return document
        self._progress.done()
        self.nothing_happened = False
        pid = owner(self._paths.pidfile)
        if pid is not None and not answered:
            raise LocalizeError(f"the supervisor with pid {pid} does not answer", "`kubectl localize stop` ends it")
        raise LocalizeError("the supervisor ended while it started", f"its log says why: {_last_line(self._paths.log)}")

    def _refused(self, control: Control, event: Failed) -> LocalizeError:
        """Let go; the error."""
        self._progress.done()
        try:
            self._let_go(control)
        except LocalizeError:  # what went wrong first is what there is to say
            self.nothing_happened = False  # but the log has the rest
        return LocalizeError(event.message, self._better_hint(event.hint))

    def _better_hint(self, hint: str) -> str:
        """A first word that is nearly a command was probably meant as one."""
        services = self._args.words
        command = did_you_mean_command(services[0]) if services else None
        return f"did you mean `kubectl localize {command}`?" if command else hint

    def _get_helper(self, needs: PrivilegesNeeded) -> bool:
        """Start the privileged helper through sudo, which may ask for a password here."""
        from kubectl_localize.host.helper_server import helper_argv

        if self._args.no_sudo or os.geteuid() == 0:
            return False
        if shutil.which("sudo") is None:
            self._console.warning("sudo is not installed")
            return False
        self._console.line(f"asking sudo for the right to {' and to '.join(wishes(needs, self._how.hosts_file))}")
        argv = helper_argv(
            socket=self._paths.helper_socket,
            uid=os.getuid(),
            key=self._paths.key,
            hosts_file=Options().hosts_file,
            ip_range=self._how.ip_range,
            use_sudo=True,
            interactive=os.isatty(0) and os.isatty(2),
        )
        # not run(), which would try to kill sudo on Ctrl-C, and could not; sudo gets the Ctrl-C itself
        refused = subprocess.Popen(argv).wait()
        if refused:
            self._console.warning("sudo was refused")
        return not refused

    def _summary(self, document: LsDocument) -> None:
        self._console.line(
            f"{summary(document, self._connection.context)}; `kubectl localize ls` lists, `kubectl localize stop` ends"
        )

    def _hold(self, control: Control, document: LsDocument) -> int:
        """Show the table, then each change, until Ctrl-C or the supervisor's end."""
        try:
            self._show(document)
            for event in control.events():
                match event:
                    case Change(text):
                        self._console.line(text)
                    case Warn(text):
                        self._console.warning(text)
                    case ExposureOver() if event.message:
                        self._console.warning(event.message)
                    case Ended():
                        wait_ended(self._paths)
                        self._console.line("the supervisor was stopped")
                        return 0
        except KeyboardInterrupt:
            if self._console.live:
                self._console.line("")  # the terminal has shown ^C, and stands right behind it
            self._release(control)
            return 0
        raise LocalizeError(
            "the supervisor has crashed or was killed",
            "what it held is cleaned up; start it again, and see what `kubectl localize logs` says last",
        )

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
        self._console.line("Ctrl-C ends it")

    def _release(self, control: Control) -> None:
        """Let go, and wait for the clean-up where nobody else holds the supervisor."""
        if not control.is_open:  # turned away from, and nothing there is ours
            return
        self.nothing_happened = False
        self._progress.step("cleaning up")
        try:
            self._let_go(control)
        finally:
            self._progress.done()

    def _let_go(self, control: Control) -> None:
        control.send(ReleaseRequest())
        try:
            wait_for_release(control, self._paths, until=Released, step=self._console.line, warn=self._console.warning)
        finally:
            control.close()


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
    more += [f"{deaf} more cannot be listened on here"] if deaf else []
    forwarded = f"{_count(len(possible) - deaf, 'Service')} of context {context} forwarded"
    return f"{forwarded} ({', '.join(more)})" if more else forwarded


def _listens_nowhere(item: ForwardItem) -> bool:
    """Whether each port that is forwarded failed to be bound; one that waits for its first pod has not failed."""
    ports = [port for port in item.ports if port.status is not Status.SKIPPED]
    return all(port.status is Status.BACKOFF and not port.local_port for port in ports)


def wishes(needs: PrivilegesNeeded, hosts_file: str) -> list[str]:
    """What sudo is asked for, a phrase each."""
    ports = needs.ports
    phrases = [f"write names to {hosts_file}"] if needs.hosts else []
    phrases += [f"bind port{'s' if len(ports) > 1 else ''} {_some(ports)}"] if ports else []
    return phrases + (["add addresses to the loopback interface"] if needs.addresses else [])


def _as_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def _some(ports: Sequence[int]) -> str:
    shown = ", ".join(str(port) for port in ports[:5])
    return shown if len(ports) <= 5 else f"{shown} and {len(ports) - 5} more"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "it has no log"
    return lines[-1] if lines else "it says nothing"
