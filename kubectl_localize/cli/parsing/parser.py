"""From a command line to what is meant by it; pure."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from kubectl_localize.cli.parsing.arguments import (
    Arguments,
    CompletionArgs,
    ConnectionFlags,
    ExposeArgs,
    HelpArgs,
    LogsArgs,
    LsArgs,
    RestoreArgs,
    StartArgs,
    StopArgs,
    VersionArgs,
)
from kubectl_localize.cli.parsing.duration import parse_duration
from kubectl_localize.cli.parsing.flags import COMMANDS, COMPLETION_WORDS, PROGRAM_COMMANDS, Flag, flags_of
from kubectl_localize.cli.parsing.help_text import help_text
from kubectl_localize.cli.parsing.scan import find_command, normalise, see_help, split_program, usage_name, without_help
from kubectl_localize.errors import UsageError
from kubectl_localize.model import Options, Selection


def parse(argv: Sequence[str]) -> Arguments:
    """The command line (without the program's name) as the dataclass of its command.

    Raises:
        UsageError: it cannot be what the user meant.
    """
    argv, program = split_program(argv)
    command, rest = find_command(without_help(argv))
    flags, words = normalise(command, rest if command in PROGRAM_COMMANDS else (*rest, *program))
    values = vars(build_parser(command).parse_args([*flags, "--", *words]))
    if values["help"]:
        return HelpArgs(text=build_parser(command).format_help())
    if words and not help_text(command).positional:
        raise UsageError(f"{usage_name(command)} takes no arguments, but {words[0]!r} was given", see_help(command))
    return _arguments(command, values, program[1:])


def did_you_mean_command(word: str) -> str | None:
    """The command that a word may have been meant for (`lss`: `ls`), None where it is near none."""
    from difflib import get_close_matches

    other_words = {"list": "ls", "get": "ls", "status": "ls", "down": "stop", "delete": "stop", "log": "logs"}
    if word in other_words:
        return other_words[word]
    return next(iter(get_close_matches(word, COMMANDS, 1, 0.66)), None)


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, see_help(self.prog.removeprefix("kubectl localize").strip()))


def build_parser(command: str) -> argparse.ArgumentParser:
    """The argparse parser of a command, START for none."""
    text = help_text(command)
    parser = _Parser(
        prog=usage_name(command),
        usage=text.usage,
        description=text.description,
        epilog=text.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    arguments = parser.add_argument_group("Arguments") if text.positional else parser
    arguments.add_argument("services", metavar=text.word, nargs="*", help=text.positional or argparse.SUPPRESS)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for flag in flags_of(command):
        if flag.group not in groups:
            groups[flag.group] = parser.add_argument_group(flag.group)
        _add(groups[flag.group], flag)
    return parser


def _add(group: argparse._ArgumentGroup, flag: Flag) -> None:
    key = flag.name.replace("-", "_")
    if not flag.value:
        action, default = ("count", 0) if flag.many else ("store_true", False)
        group.add_argument(*flag.spellings, dest=key, action=action, default=default, help=flag.help)
    else:
        group.add_argument(
            *flag.spellings, dest=key, metavar=flag.value, help=flag.help,
            action="append" if flag.many else "store", default=[] if flag.many else "",
        )  # fmt: skip


def _arguments(command: str, values: dict[str, Any], program: Sequence[str]) -> Arguments:
    for flag in flags_of(command):
        _check_value(flag, values[flag.name.replace("-", "_")])
    common: dict[str, Any] = {
        "connection": ConnectionFlags(
            impersonate=values["as"],
            impersonate_groups=tuple(values["as_group"]),
            **{name: values[name] for name in ("kubeconfig", "context", "cluster", "user")},
        ),
        "namespaces": tuple(values["namespace"]),
        "verbosity": values["verbose"],
        "no_color": values["no_color"],
    }
    services = tuple(values["services"])
    if command == "expose":
        return _expose_arguments(common, services, values, tuple(program))
    if command == "completion":
        return _completion_arguments(common, services, values["remove"])
    if command == "restore":
        return RestoreArgs(**common, dry_run=values["dry_run"])
    for pattern in services:
        _check_pattern(pattern)
    if command == "ls":
        output = values["output"] or "table"
        return LsArgs(**common, services=services, selector=values["selector"], output=output, watch=values["watch"])
    if command == "stop":
        return StopArgs(**common, all_contexts=values["all"])
    if command == "logs":
        return LogsArgs(**common, follow=values["follow"])
    if command == "version":
        return VersionArgs(**common, client=values["client"], output=values["output"])
    return _start_arguments(common, services, values)


def _start_arguments(common: dict[str, Any], services: tuple[str, ...], values: dict[str, Any]) -> StartArgs:
    for pattern in values["exclude"]:
        _check_pattern(pattern)
    defaults = Options()
    args = StartArgs(
        **common,
        services=services,
        skip_namespaces=tuple(values["skip_namespace"]),
        exclude=tuple(values["exclude"]),
        hosts=not values["no_hosts"],
        idle_timeout_seconds=_seconds("--idle-timeout", values["idle_timeout"], defaults.idle_timeout_seconds),
        wait_timeout_seconds=_seconds("--wait-timeout", values["wait_timeout"], defaults.wait_timeout_seconds),
        max_children=_count("--max-children", values["max_children"], defaults.max_children),
        cluster_domain=_domain(values["cluster_domain"]),
        **{
            name: values[name]
            for name in (
                "all_namespaces", "selector", "detach", "hosts_file", "no_sudo", "allow_other_users", "ip_range",
            )
        },
    )  # fmt: skip
    if args.hosts_file and not args.hosts:
        raise UsageError("--no-hosts and --hosts-file exclude each other", "leave one of them out")
    return args


def _expose_arguments(
    common: dict[str, Any], services: tuple[str, ...], values: dict[str, Any], program: tuple[str, ...]
) -> ExposeArgs:
    from kubectl_localize.cluster.exposing.ports import parse_map

    if not services:
        stop = " --stop" if values["stop"] else ""
        raise UsageError("no Service is named", f"for example kubectl localize expose webshop/cart{stop}")
    for name in services:
        if not _SERVICE.fullmatch(name):
            raise UsageError(f"{name!r} is not the name of a Service", "write svc or ns/svc")
    if program and len(services) > 1:
        raise UsageError("a command takes exactly one Service", "expose the others by themselves")
    if program and values["detach"]:
        raise UsageError("-d and a command exclude each other", "start the command yourself, or leave -d out")
    off = values["failsafe"] in ("off", "0")
    try:
        maps = tuple(parse_map(text) for text in values["map"])
    except ValueError as error:
        raise UsageError(f"--map: {error}", "for example --map 3000 or --map webshop/cart=3000:http") from error
    return ExposeArgs(
        **common,
        services=services,
        maps=maps,
        failsafe_seconds=0.0 if off else _seconds("--failsafe", values["failsafe"], ExposeArgs.failsafe_seconds),
        command=program,
        **{
            name: values[name]
            for name in (
                "detach", "stop", "keep", "dry_run", "force", "failsafe_service_account", "image", "failsafe_image",
                "image_pull_secret",
            )
        },
    )  # fmt: skip


def _completion_arguments(common: dict[str, Any], words: tuple[str, ...], remove: bool) -> CompletionArgs:
    if len(words) != 1 or words[0] not in COMPLETION_WORDS:
        raise UsageError(f"completion takes one of {', '.join(COMPLETION_WORDS)}", see_help("completion"))
    if remove and words[0] != "install":
        raise UsageError("--remove goes with install", "kubectl localize completion install --remove")
    return CompletionArgs(**common, what=words[0], remove=remove)


def selection(args: StartArgs) -> Selection:
    """Which Services are meant; `-A` widens over `-n`, as with kubectl."""
    return Selection(
        namespaces=() if args.all_namespaces else tuple(dict.fromkeys(args.namespaces)),
        all_namespaces=args.all_namespaces,
        label_selector=args.selector,
        skip_namespaces=args.skip_namespaces,
        patterns=args.services,
        exclude=args.exclude,
    )


def options(args: StartArgs) -> Options:
    """How the forwards are to be made; a relative hosts file becomes an absolute path."""
    defaults = Options()
    return Options(
        hosts=args.hosts,
        hosts_file=os.path.abspath(args.hosts_file) if args.hosts_file else defaults.hosts_file,
        allow_other_users=args.allow_other_users,
        ip_range=args.ip_range or defaults.ip_range,
        cluster_domain=args.cluster_domain or defaults.cluster_domain,
        idle_timeout_seconds=args.idle_timeout_seconds,
        max_children=args.max_children,
        wait_timeout_seconds=args.wait_timeout_seconds,
    )


_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME = re.compile(_LABEL)
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SERVICE = re.compile(rf"(?:{_LABEL}/)?{_LABEL}")
_GLOB = re.compile(r"[-a-z0-9.*?\[\]!]+")


def _check_pattern(pattern: str) -> None:
    parts = pattern.split("/")
    if len(parts) > 2 or not all(_GLOB.fullmatch(part) for part in parts):
        raise UsageError(f"{pattern!r} is not the name of a Service", "write svc, ns/svc or a glob such as 'webshop/*'")


def _check_value(flag: Flag, value: Any) -> None:
    if flag.choices and value and value not in flag.choices:
        raise UsageError(f"--{flag.name} cannot be {value!r}", f"it is one of {', '.join(flag.choices)}")
    if flag.name == "namespace":
        for namespace in value:
            if not _NAME.fullmatch(namespace):
                raise UsageError(f"{namespace!r} is not the name of a namespace", "see kubectl get namespaces")


def _seconds(flag: str, text: str, default: float) -> float:
    if not text:
        return default
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}", f"for example {flag} 5m") from error


def _count(flag: str, text: str, default: int) -> int:
    if not text:
        return default
    if not re.fullmatch(r"0*[1-9][0-9]{0,5}", text):
        raise UsageError(f"{flag}: {text!r} is not a number from 1 on", f"for example {flag} {default}")
    return int(text)


def _domain(text: str) -> str:
    domain = text.lower().removesuffix(".")
    if domain and (len(domain) > 253 or not _DOMAIN.fullmatch(domain)):
        raise UsageError(f"--cluster-domain: {text!r} is not a DNS name", "for example --cluster-domain cluster.local")
    return domain
