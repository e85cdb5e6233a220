"""A run of `kubectl localize`: asks for its forwards, answers questions about them, shows them and holds them."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments, did_you_mean_command
from kubectl_localize.cli.client import Control
from kubectl_localize.cli.holder import FinishedError, Holder, Outcome, Question
from kubectl_localize.cli.privileges import start_helper
from kubectl_localize.cli.proxies import proxy_warning
from kubectl_localize.cli.streams import OutputError
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.place import sees_block
from kubectl_localize.ls_document import ForwardCounts, LsDocument
from kubectl_localize.model import Connection, Options
from kubectl_localize.protocol import Event, ExposureOver, Failed, ForwardsOver, PrivilegesNeeded, Ready, Warn


class StartHolder(Holder):
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
        self._refusal = ""  # why there is no helper

    def go_on(self, outcome: Outcome, control: Control) -> int:
        assert isinstance(outcome, Ready)
        self._warn_of_this_shell(outcome)
        if outcome.document is None:
            said = summary(outcome.counts, self._context)
            self.console.line(f"{said}; `kubectl localize ls` lists, `kubectl localize stop` ends")
            self._suggest(outcome.example)
            return 0
        try:
            self._show(outcome.document)
        except OutputError as error:  # the table is lost, and nothing else
            self.console.warning(error.message)
        self._suggest(outcome.example)
        self.console.line("Ctrl-C ends it")
        if self.hold(control):
            return 0
        raise LocalizeError(
            "the supervisor has crashed or was killed",
            "what it held is cleaned up; start it again, and see what `kubectl localize logs` says last",
        )

    def _warn_of_this_shell(self, ready: Ready) -> None:
        """Say what keeps names from working where this command runs, which the supervisor cannot know."""
        if not ready.hosts_file:
            return
        if not sees_block(ready.hosts_file, self.paths.key):
            self.console.warning(
                f"names do not resolve here: the supervisor writes them to another {ready.hosts_file}, in another"
                " container or mount namespace; `kubectl localize stop` ends it, then start it here"
            )
        if said := proxy_warning(os.environ, ready.namespaces, self._options.cluster_domain):
            self.console.warning(said)

    def answer(self, question: Question) -> bool:
        if self._args.no_sudo or not isinstance(question, PrivilegesNeeded):
            return False
        self._refusal = start_helper(question, self._options, self.paths, self.console)
        return not self._refusal

    def hint(self, failure: Failed) -> str:
        """A first word that is another tool's command, or nearly one of ours, was probably meant as one."""
        guess = failure.message.startswith("no Service matches")
        command = did_you_mean_command(self._args.words[0], guess=guess) if self._args.words else ""
        if not command:
            return failure.hint
        near = failure.hint.removeprefix("did you mean ")
        return f"did you mean `{command}`, or {near}" if near != failure.hint else f"did you mean `{command}`?"

    def hear(self, event: Event) -> None:
        if isinstance(event, Warn) and event.lacks_privileges and self._refusal:
            event = Warn(f"{event.text}: {self._refusal}")
        super().hear(event)
        if isinstance(event, ForwardsOver):
            self.console.line("another command has stopped what this one forwarded")
            raise FinishedError(0)

    def over(self, event: ExposureOver) -> None:
        if event.message:
            self.console.warning(event.message)

    def _show(self, document: LsDocument) -> None:
        from kubectl_localize.cli.listing.document import folded
        from kubectl_localize.cli.listing.formats import said_folded
        from kubectl_localize.cli.listing.table import Style, render_table

        style = Style(color=terminal.stdout_color(self._args.no_color), width=terminal.stdout_width())
        shown = folded(document)
        sys.stdout.write(render_table(shown, style, datetime.now(UTC)))
        sys.stdout.flush()
        if hidden := len(document.items) - len(shown.items):
            self.console.line(said_folded(hidden))

    def _suggest(self, example: str) -> None:
        if example:
            self.console.line(f"try: curl {example}" if "://" in example else f"try: connect to {example}")


def summary(counts: ForwardCounts, context: str) -> str:
    """How many Services are forwarded, and how many are not: they cannot be, or no port of theirs is free here."""
    more = [f"{counts.skipped} more cannot be forwarded"] if counts.skipped else []
    more += [f"{counts.deaf} more cannot listen here"] if counts.deaf else []
    forwarded = f"{_count(counts.forwarded, 'Service')} of context {context} forwarded"
    return f"{forwarded} ({', '.join(more)})" if more else forwarded


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
