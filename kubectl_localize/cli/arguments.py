"""A command line to the values of its command, by argparse from the table of flags; pure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from kubectl_localize.cli.flag_values import read_value
from kubectl_localize.cli.flags import (
    COMMANDS,
    COMPLETION_WORDS,
    START,
    SUMMARIES,
    Flag,
    all_by_spelling,
    by_spelling,
    command_named,
    flags_of,
)
from kubectl_localize.cli.object_names import check_words, service_name, service_pattern
from kubectl_localize.errors import UsageError

if TYPE_CHECKING:
    from kubectl_localize.model import Pairs, PortMap

# What other tools call it. An empty one is `kubectl localize` itself.
_OTHER_WORDS = {
    **dict.fromkeys(("list", "get", "status", "ps", "show"), "ls"),
    **dict.fromkeys(("down", "delete", "end", "kill", "quit", "disconnect", "unexpose"), "stop"),
    **dict.fromkeys(("log", "tail"), "logs"),
    **dict.fromkeys(("intercept", "swap", "replace", "steal"), "expose"),
    **dict.fromkeys(("undo", "recover", "cleanup", "clean"), "restore"),
    **dict.fromkeys(("start", "forward", "port-forward", "connect"), START),
}
# Flags that people know from elsewhere, and what there is instead.
_OTHER_FLAGS = {
    (START, "--all"): "-A means all namespaces; kubectl localize stop --all ends everything",
    **dict.fromkeys(
        ((START, "--port"), (START, "-p")),
        "each Service has its own ports here; `kubectl port-forward` maps one to another number",
    ),
    **dict.fromkeys(
        (("expose", "--port"), ("expose", "-p")),
        "--map 3000 names the local port, --map 3000:http the Service's as well",
    ),
    **dict.fromkeys(
        (("stop", "-A"), ("stop", "--all-namespaces")),
        "without a name, stop ends everything in the context; --all does so in all contexts",
    ),
    **dict.fromkeys((("ls", "--show-labels"), ("ls", "--sort-by")), "-o json has everything, and jq sorts it"),
}
_COMMANDS_HEADING = "Commands (kubectl localize COMMAND -h):"


class Arguments(argparse.Namespace):
    """A parsed command line. Each flag of any command is an attribute; flags that were not given have their default.

    Args:
        command: its name; START for none.
        words: its positional arguments.
        program: the command line after `--`.
    """

    command: str = START
    words: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    # every command's
    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    verbosity: int = 0
    no_color: bool = False
    help: bool = False
    # of several commands
    selector: str = ""
    output: str = ""
    detach: bool = False
    dry_run: bool = False
    take_over: bool = False
    yes: bool = False
    # kubectl localize; None: the default of `Options`
    all_namespaces: bool = False
    skip_namespaces: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    no_sudo: bool = False
    no_hosts: bool = False
    hosts_file: str = ""
    allow_other_users: bool = False
    ip_range: str = ""
    cluster_domain: str = ""
    idle_timeout: float | None = None
    wait_timeout: float | None = None
    max_children: int | None = None
    # expose; a failsafe of None: the default of `ExposeRequest`, 0: off
    maps: tuple[PortMap, ...] = ()
    env: tuple[str, ...] = ()
    env_exclude: tuple[str, ...] = ()
    stop: bool = False
    keep: bool = False
    share: bool = False
    force: bool = False
    failsafe: float | None = None
    failsafe_service_account: str = ""
    image: str = ""
    failsafe_image: str = ""
    image_pull_secret: str = ""
    requests: tuple[Pairs, ...] = ()
    limits: tuple[Pairs, ...] = ()
    labels: tuple[Pairs, ...] = ()
    annotations: tuple[Pairs, ...] = ()
    # ls, stop, logs, completion, version
    watch: bool = False
    whole_cluster: bool = False
    everything: bool = False
    no_headers: bool = False
    all_contexts: bool = False
    follow: bool = False
    remove: bool = False
    client: bool = False

    @property
    def connection_flags(self) -> tuple[str, ...]:
        """The connection flags as they were given, for a kubectl command line: `--context=kind-dev`."""
        pairs = (
            ("kubeconfig", self.kubeconfig),
            ("context", self.context),
            ("cluster", self.cluster),
            ("user", self.user),
            ("as", self.impersonate),
            *(("as-group", group) for group in self.impersonate_groups),
        )
        return tuple(f"--{name}={value}" for name, value in pairs if value)


def parse(argv: Sequence[str]) -> Arguments:
    """The values of a command line without the program's name.

    Raises:
        UsageError: it cannot be what the user meant.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    flags_and_words, program = list(argv[:end]), tuple(argv[end + 1 :])
    for text in flags_and_words:  # of `--context=--` and `-n--` argparse drops the dashes and leaves an empty list
        if text.endswith("=--") or (text.endswith("--") and text[:1] == "-" != text[1:2]):
            raise UsageError(f"flag {text[:-2].removesuffix('=')} needs a value", f"see {usage_name(START)} -h")
    command = _command_of(flags_and_words)
    if command == START and "--version" in flags_and_words:  # which most programs have
        return Arguments(command="version", client=True)
    args, rest = _run_argparse(_parser(command), command, flags_and_words)
    for text in rest:
        if text.startswith("-") and text != "-":
            raise _unknown_flag(command, text.partition("=")[0])
    words = tuple(rest) if command == START else tuple(rest[1:])
    if command == START and words[:1] == ("help",):
        return Arguments(command=words[1] if words[1:] and words[1] in COMMANDS else START, help=True)
    if args.help:
        return Arguments(command=command, help=True)
    takes_program = command_named(command).program
    args.command = command
    args.words = words if takes_program else (*words, *program)
    args.program = program if takes_program else ()
    _check(args)
    return args


def help_text(command: str) -> str:
    """What `-h` prints."""
    about = command_named(command)
    parser = _parser(command, words=True)
    commands = [_COMMANDS_HEADING, *(f"  {name:<12}{summary}" for name, summary in SUMMARIES.items())]
    parts = [about.description, "\n".join(commands) if command == START else "", "Examples:\n" + about.examples]
    parser.description = "\n\n".join(part for part in parts if part)
    parser.epilog = about.notes
    return parser.format_help()


def usage_name(command: str) -> str:
    """How people type a command: `kubectl localize ls`."""
    return f"kubectl localize {command}".rstrip()


def did_you_mean_command(word: str, *, guess: bool) -> str:
    """The command line that a word may have been meant for (`ps`: `kubectl localize ls`); empty if there is none.

    Args:
        guess: whether a word that only looks like a command (`lss`) counts, too.
    """
    from difflib import get_close_matches

    command = _OTHER_WORDS.get(word)
    if command is None and guess:
        command = next(iter(get_close_matches(word, COMMANDS, 1, 0.66)), None)
    return "" if command is None else usage_name(command)


# -- argparse ---------------------------------------------------------------------------------------------------------
class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see {self.prog} -h")


class _Collect(argparse.Action):
    """An argparse action that collects the values of a flag that may be repeated."""

    def __call__(self, parser: object, namespace: object, values: Any, option_string: object = None) -> None:
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), values))


class _Switch(argparse.Action):
    """An argparse action of a flag that switches something on (`const`, a tuple of one) if it has no value."""

    def __call__(self, parser: object, namespace: object, values: Any, option_string: object = None) -> None:
        if values is self.const:
            setattr(namespace, self.const[0], True)
        else:
            setattr(namespace, self.dest, values)


def _command_of(argv: Sequence[str]) -> str:
    """The command: the first word, if it is one's name. A flag may stand before it, and its value may look like one."""
    if argv and argv[0] in COMMANDS:
        return argv[0]
    if not any(text in COMMANDS for text in argv):
        return START
    parser = _Parser(prog=usage_name(START), add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in {flag.spellings: flag for flag in all_by_spelling().values()}.values():
        _add(parser, flag, read=False)
    words = _run_argparse(parser, START, argv)[1]
    return words[0] if words and words[0] in COMMANDS else START


def _run_argparse(parser: argparse.ArgumentParser, command: str, argv: Sequence[str]) -> tuple[Arguments, list[str]]:
    """The values of the flags, and what is left: words, and flags that the command does not have.

    Words are none of argparse's business, so that they may stand among the flags.
    """
    try:
        return parser.parse_known_args(argv, Arguments())
    except argparse.ArgumentError as error:
        spelling = error.argument_name or ""
        name = spelling.rpartition("/")[2]
        flag = by_spelling(flags_of(command)).get(name) or all_by_spelling()[name]
        if flag.value:
            hint = f"{spelling} {flag.value}: {flag.help}"
            raise UsageError(f"flag {spelling} needs a value", hint) from error
        if name in ("-v", "--verbose"):
            raise UsageError(f"flag {spelling} takes no value", "-v says more, -vv also shows stack traces") from error
        raise UsageError(f"flag {spelling} takes no value", f"see {usage_name(command)} -h") from error
    except (ValueError, IndexError) as error:  # Python 3.11's argparse stumbles over `-v=`
        raise UsageError("a flag's value is missing or not allowed", f"see {usage_name(command)} -h") from error


def _parser(command: str, *, words: bool = False) -> argparse.ArgumentParser:
    """The parser of a command's flags.

    Args:
        words: whether it has the positional arguments, too; for the help.
    """
    about = command_named(command)
    parser = _Parser(
        prog=usage_name(command),
        usage=about.usage,
        description=about.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
    )
    if words and about.word:
        parser.add_argument_group("Arguments").add_argument(
            "words", metavar=about.word, nargs="*", help=about.word_help
        )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for flag in flags_of(command):
        if flag.group not in groups:
            groups[flag.group] = parser.add_argument_group(flag.group)
        _add(groups[flag.group], flag)
    return parser


def _add(group: argparse._ActionsContainer, flag: Flag, *, read: bool = True) -> None:
    """Give a parser a flag.

    Args:
        read: whether its value is checked and converted.
    """
    key = flag.attribute or flag.name.replace("-", "_")
    absent = argparse.SUPPRESS  # the class has the defaults

    def value(text: str) -> Any:
        text = text.removeprefix("=")  # which Python 3.11 leaves in `-vn=web`
        if not read:
            return text
        return read_value(flag, text) if text or flag.many else getattr(Arguments, key)

    if flag.switch and read:
        group.add_argument(
            *flag.spellings, dest=key, action=_Switch, nargs="?", const=(flag.switch,), metavar=flag.value, type=value,
            default=absent, help=flag.help,
        )  # fmt: skip
    elif flag.value:
        action: Any = _Collect if flag.many else "store"
        group.add_argument(
            *flag.spellings, dest=key, action=action, metavar=flag.value, type=value, default=absent, help=flag.help
        )
    elif flag.many:
        group.add_argument(*flag.spellings, dest=key, action="count", default=absent, help=flag.help)
    else:
        group.add_argument(*flag.spellings, dest=key, action="store_true", default=absent, help=flag.help)
        for setting in (True, False):  # kubectl's `--switch=false`: for argparse, a flag of its own
            spellings = [f"{spelling}={str(setting).lower()}" for spelling in flag.spellings]
            group.add_argument(
                *spellings, dest=key, action="store_const", const=setting, default=absent, help=argparse.SUPPRESS
            )


# -- what fits together -----------------------------------------------------------------------------------------------
def _unknown_flag(command: str, spelling: str) -> UsageError:
    """The error for a flag that the command does not have, with the nearest one, or the command that has it."""
    from difflib import get_close_matches

    message = f"unknown flag {spelling}"
    if (command, spelling) in _OTHER_FLAGS:
        return UsageError(message, _OTHER_FLAGS[command, spelling])
    if command != START and spelling in by_spelling(flags_of(START)):
        return UsageError(message, f"{spelling} is a flag of kubectl localize without {command}")
    owners = [name for name in COMMANDS if spelling in by_spelling(flags_of(name))]
    if owners:
        return UsageError(message, f"{spelling} is a flag of {usage_name(owners[0])}")
    names = [name[2:] for name in by_spelling(flags_of(command)) if name.startswith("--")]  # dashes are alike anyway
    near = get_close_matches(spelling[2:], names, 1) if spelling.startswith("--") else []
    return UsageError(message, f"did you mean --{near[0]}?" if near else f"see {usage_name(command)} -h")


def _check(args: Arguments) -> None:
    """Check the words, and the flags that exclude one another.

    Raises:
        UsageError: they are not what the command takes.
    """
    if args.words and not command_named(args.command).word:
        message = f"{usage_name(args.command)} takes no arguments, but {args.words[0]!r} was given"
        hint = f"see {usage_name(args.command)} -h"
        if args.command == "logs":
            hint = f"it prints our own log; `kubectl logs svc/{args.words[0].rpartition('/')[2]}` prints a Service's"
        raise UsageError(message, hint)
    match args.command:
        case "expose":
            _check_expose(args)
        case "completion":
            _check_completion(args)
        case "ls" if args.whole_cluster and (args.watch or args.selector):
            flag = "-w" if args.watch else "-l"
            raise UsageError(
                f"--cluster and {flag} exclude each other", "`kubectl get leases -A -w` follows the Leases"
            )
        case _:
            check_words(args.words)
            args.words = tuple(map(service_pattern, args.words))
    if args.all_contexts and (args.words or args.namespaces):
        raise UsageError("--all ends everything, so no Service or namespace goes with it", "leave one of them out")
    if args.hosts_file and args.no_hosts:
        raise UsageError("--no-hosts and --hosts-file exclude each other", "leave one of them out")


def _check_expose(args: Arguments) -> None:
    if not args.words:
        stop = " --stop" if args.stop else ""
        raise UsageError("no Service is named", f"for example kubectl localize expose shop/web{stop}")
    check_words(args.words)
    args.words = tuple(map(service_name, args.words))
    if args.keep and args.share:
        raise UsageError("--keep and --share exclude each other", "leave one of them out")
    if args.program and len(args.words) > 1:
        raise UsageError("a command takes exactly one Service", "expose the others by themselves")
    if args.program and args.detach:
        raise UsageError("-d and a command exclude each other", "start the command yourself, or leave -d out")
    if (args.env or args.env_exclude) and not args.program:
        raise UsageError("--env and --env-exclude are about a command", "add the command line: -- npm run dev")
    for name in args.env:
        if "=" in name:
            raise UsageError(
                f"--env takes the name of a variable of the container, not {name!r}",
                f"set one of your own in front of the command: -- env {name} …",
            )


def _check_completion(args: Arguments) -> None:
    if len(args.words) != 1 or args.words[0] not in COMPLETION_WORDS:
        raise UsageError(f"completion takes one of {', '.join(COMPLETION_WORDS)}", f"see {usage_name(args.command)} -h")
    if args.remove and args.words[0] != "install":
        raise UsageError("--remove goes with install", "kubectl localize completion install --remove")
