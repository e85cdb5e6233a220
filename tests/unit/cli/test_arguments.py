"""The command line and what is meant by it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cli.arguments import Arguments, did_you_mean_command, help_text, parse
from kubectl_localize.cli.commands.start import options, selection
from kubectl_localize.cli.flags import COMMANDS, START, by_spelling, flags_of
from kubectl_localize.errors import UsageError
from kubectl_localize.model import Options, Selection


def _args(command: str, **values: Any) -> Arguments:
    """What a command line of `command` is to be read as."""
    return Arguments(command=command, **values)


def _values(args: Arguments) -> dict[str, object]:
    """Every value, those that were not given included."""
    return {name: getattr(args, name) for name in Arguments.__annotations__}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", _args("")),
        ("web", _args("", words=("web",))),
        ("webshop/web billing/db-*", _args("", words=("webshop/web", "billing/db-*"))),
        ("web -n shop -d", _args("", words=("web",), namespaces=("shop",), detach=True)),
        ("-n shop web --detach", _args("", words=("web",), namespaces=("shop",), detach=True)),
        ("-n a --namespace=b --namespace c -nd", _args("", namespaces=("a", "b", "c", "d"))),
        ("-vdn=a web", _args("", words=("web",), namespaces=("a",), detach=True, verbosity=1)),
        ("-vv -v", _args("", verbosity=3)),
        ("-A -l app=web,tier!=x", _args("", all_namespaces=True, selector="app=web,tier!=x")),
        ("--skip-namespace a --skip-namespace b", _args("", skip_namespaces=("a", "b"))),
        ("--exclude a/b --exclude c*", _args("", exclude=("a/b", "c*"))),
        ("--detach=false --no-sudo=true", _args("", no_sudo=True)),
        ("--no-hosts --allow-other-users", _args("", no_hosts=True, allow_other_users=True)),
        ("--hosts-file h --ip-range 127.1.0.0/16", _args("", hosts_file="h", ip_range="127.1.0.0/16")),
        ("--cluster-domain Example.COM.", _args("", cluster_domain="example.com")),
        ("--idle-timeout 1h30m --wait-timeout=500ms", _args("", idle_timeout=5400.0, wait_timeout=0.5)),
        ("--wait-timeout 0 --max-children 3", _args("", wait_timeout=0.0, max_children=3)),
        ("--no-color", _args("", no_color=True)),
        ("web ls", _args("", words=("web", "ls"))),
        ("-- ls", _args("", words=("ls",))),
        ("ns/ls", _args("", words=("ns/ls",))),
        ("lss", _args("", words=("lss",))),
        ("ls", _args("ls")),
        ("-n ls ls", _args("ls", namespaces=("ls",))),
        ("--context ls ls web", _args("ls", context="ls", words=("web",))),
        ("ls ls", _args("ls", words=("ls",))),
        ("ls -w -o wide -n a -n b", _args("ls", watch=True, output="wide", namespaces=("a", "b"))),
        ("-l x=y ls -ojson a b/c", _args("ls", selector="x=y", output="json", words=("a", "b/c"))),
        ("stop --all", _args("stop", all_contexts=True)),
        ("--context a stop", _args("stop", context="a")),
        ("logs -f", _args("logs", follow=True)),
        ("-f logs", _args("logs", follow=True)),
        ("version --client -o json", _args("version", client=True, output="json")),
        ("version", _args("version")),
        ("stop --context=", _args("stop")),
        ("completion zsh", _args("completion", words=("zsh",))),
        ("completion --remove install", _args("completion", words=("install",), remove=True)),
    ],
)
def test_lines(line: str, expected: Arguments) -> None:
    assert _values(parse(line.split())) == _values(expected)


@pytest.mark.parametrize("command", [START, *COMMANDS])
def test_every_command_takes_the_connection_flags(command: str) -> None:
    line = "--kubeconfig k --context c --cluster=cl --user u --as me --as-group g --as-group h -n x -v --no-color"
    words = {"expose": ["webshop/cart"], "completion": ["bash"]}.get(command, [])
    args = parse([*command.split(), *words, *line.split()])
    assert args.connection_flags == (
        "--kubeconfig=k", "--context=c", "--cluster=cl", "--user=u", "--as=me", "--as-group=g", "--as-group=h",
    )  # fmt: skip
    assert (args.namespaces, args.verbosity, args.no_color) == (("x",), 1, True)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("--detac", "unknown flag --detac", "did you mean --detach?"),
        ("--det", "unknown flag --det", "did you mean --detach?"),
        ("-x", "unknown flag -x", "see kubectl localize -h"),
        ("ls --wach", "unknown flag --wach", "did you mean --watch?"),
        ("logs --tail 5", "unknown flag --tail", "see kubectl localize logs -h"),
        ("--all-namespace", "unknown flag --all-namespace", "did you mean --all-namespaces?"),
        ("--all", "unknown flag --all", "-A means all namespaces; kubectl localize stop --all ends everything"),
        ("ls -d", "unknown flag -d", "-d is a flag of kubectl localize without ls"),
        ("-f localize.yaml", "unknown flag -f", "-f is a flag of kubectl localize logs"),
        ("--context", "flag --context needs a value", "--context NAME: the kubeconfig context"),
        ("-n", "flag -n/--namespace needs a value", "-n/--namespace NS: Services of this namespace; may be repeated"),
        ("--context=--", "flag --context needs a value", "see kubectl localize -h"),
        ("-n--", "flag -n needs a value", "see kubectl localize -h"),
        ("--detach=maybe", "flag -d/--detach takes no value", "see kubectl localize -h"),
        ("restore web", "kubectl localize restore takes no arguments, but 'web' was given",
         "see kubectl localize restore -h"),
        ("ls -o xml", "--output cannot be 'xml'",
         "it is one of table, wide, json, yaml, name, jsonpath=, custom-columns="),
        ("version -o table", "--output cannot be 'table'", "it is one of json, yaml"),
        ("-n Shop", "'Shop' is not the name of a namespace", "see kubectl get namespaces"),
        ("--idle-timeout 5", "--idle-timeout: '5' is not a duration such as 5m, 30s or 1h30m",
         "for example --idle-timeout 5m"),
        ("--max-children 0", "--max-children: '0' is not a number of at least 1", "for example --max-children 64"),
        ("--max-children -1", "--max-children: '-1' is not a number of at least 1", "for example --max-children 64"),
        ("--cluster-domain a_b", "--cluster-domain: 'a_b' is not a DNS name",
         "for example --cluster-domain cluster.local"),
        ("completion", "completion takes one of bash, zsh, fish, install", "see kubectl localize completion -h"),
        ("completion tcsh", "completion takes one of bash, zsh, fish, install", "see kubectl localize completion -h"),
        ("completion bash --remove", "--remove goes with install", "kubectl localize completion install --remove"),
        ("--no-hosts --hosts-file x", "--no-hosts and --hosts-file exclude each other", "leave one of them out"),
    ],
)  # fmt: skip
def test_wrong_usage(line: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (message, hint, 2)


@pytest.mark.parametrize("pattern", ["a/b/c", "/a", "a/", "", "Web", "a b", "svc:80", "/"])
@pytest.mark.parametrize("before", [[], ["ls"], ["--exclude"]])
def test_patterns_that_name_no_service(pattern: str, before: list[str]) -> None:
    with pytest.raises(UsageError, match="is not the name of a Service"):
        parse([*before, pattern])


def test_selection() -> None:
    args = parse(["web", "a/*", "-n", "x", "-n", "x", "-l", "k=v", "--skip-namespace", "s", "--exclude", "e"])
    assert selection(args) == Selection(
        namespaces=("x",), label_selector="k=v", skip_namespaces=("s",), patterns=("web", "a/*"), exclude=("e",)
    )
    everywhere = selection(parse(["-A", "-n", "x"]))
    assert (everywhere.namespaces, everywhere.all_namespaces) == ((), True)


def test_options() -> None:
    assert options(parse([])) == Options()
    line = (
        "--hosts-file h --ip-range 127.1.0.0/16 --cluster-domain d --idle-timeout 1s --wait-timeout 2s --max-children 3"
    )
    args = parse([*line.split(), "--allow-other-users"])
    assert options(args) == Options(
        hosts_file=os.path.abspath("h"), ip_range="127.1.0.0/16", cluster_domain="d", idle_timeout_seconds=1,
        wait_timeout_seconds=2, max_children=3, allow_other_users=True,
    )  # fmt: skip
    assert not options(parse(["--no-hosts"])).hosts


@pytest.mark.parametrize("command", [START, *COMMANDS])
def test_help_names_every_flag(command: str) -> None:
    args = parse([command, "-h"] if command else ["-h"])
    assert (args.command, args.help) == (command, True)
    text = help_text(command)
    assert text.startswith(f"usage: {f'kubectl localize {command}'.strip()} ")
    for spelling in by_spelling(flags_of(command)):
        assert spelling in text
    assert "Examples:" in text


def test_a_spelling_takes_a_value_in_all_commands_or_in_none() -> None:
    takes_value: dict[str, bool] = {}
    for command in (START, *COMMANDS):
        for spelling, flag in by_spelling(flags_of(command)).items():
            assert takes_value.setdefault(spelling, bool(flag.value)) == bool(flag.value), spelling


@pytest.mark.parametrize(
    ("word", "guess", "line"),
    [
        ("lss", True, "kubectl localize ls"),
        ("lss", False, ""),
        ("log", False, "kubectl localize logs"),
        ("sotp", True, "kubectl localize stop"),
        ("ps", False, "kubectl localize ls"),
        ("intercept", False, "kubectl localize expose"),
        ("start", False, "kubectl localize"),
        ("verison", True, "kubectl localize version"),
        ("web", True, ""),
    ],
)
def test_did_you_mean(word: str, guess: bool, line: str) -> None:
    assert did_you_mean_command(word, guess=guess) == line


@given(st.lists(st.text(alphabet="-=nlodvAfw/ab1", max_size=6), max_size=6))
def test_any_line_is_understood_or_refused(argv: list[str]) -> None:
    refusal: UsageError | None = None
    try:
        assert isinstance(parse(argv), Arguments)
    except UsageError as error:
        refusal = error
    assert refusal is None or (refusal.hint and "\n" not in refusal.message)


@pytest.mark.parametrize(
    ("line", "same"),
    [("help", "-h"), ("help ls", "ls -h"), ("--context c help expose", "expose -h"), ("help nothing", "-h")],
)
def test_help_is_a_word_too(line: str, same: str) -> None:
    assert parse(line.split()) == parse(same.split())
    assert parse(line.split()).help


@pytest.mark.parametrize("line", ["webshop/help", "-- help", "web help"])
def test_a_service_may_be_called_help(line: str) -> None:
    args = parse(line.split())
    assert args.words[-1].rpartition("/")[2] == "help"
