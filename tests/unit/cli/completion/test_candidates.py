"""What may come, for every place of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from kubectl_localize.cli.completion.candidates import Running, complete
from kubectl_localize.cli.completion.line import read_line
from kubectl_localize.cli.flags import COMMANDS, START, flags_of

SERVICES = ("shop/web", "shop/cart", "shop/ls", "billing/web", "billing/invoices", "kube-system/kube-dns")
RUNNING = (
    Running("dev", "shop", "web", exposed=False),
    Running("dev", "shop", "cart", exposed=True),
    Running("dev", "billing", "invoices", exposed=True),
    Running("prod", "live", "web", exposed=False),
)


@dataclass
class ScriptedNames:
    """Names that a test knows; `asked` says what it was asked for."""

    running_now: Sequence[Running] = ()
    asked: list[str] = field(default_factory=list)

    def kubeconfig_names(self, kind: str) -> Sequence[str]:
        return [f"{kind}-1", f"{kind}-2", "arn:aws:eks:x/y", "bad\nname"]

    def context(self) -> str:
        return "dev"

    def namespace(self) -> str:
        return "shop"

    def namespaces(self) -> Sequence[str]:
        return ["billing", "kube-system", "shop"]

    def services(self, namespace: str) -> Sequence[str]:
        self.asked.append(namespace)
        return SERVICES

    def running(self) -> Sequence[Running]:
        return self.running_now

    def programs(self, prefix: str) -> Sequence[str]:
        return [f"{prefix}m", f"{prefix}x"]


def _offered(line: str, names: ScriptedNames | None = None) -> list[str]:
    return [candidate.text for candidate in complete(read_line(line.split(" ")), names or ScriptedNames()).candidates]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", sorted([*COMMANDS, "web", "cart", "billing/web", "billing/invoices"])),
        ("ex", ["expose"]),
        ("l", ["logs", "ls"]),
        ("k", ["kube-system/kube-dns"]),
        ("shop", ["shop/cart", "shop/ls", "shop/web"]),
        ("web ", ["billing/invoices", "billing/web", "cart", "ls"]),
        ("-n billing ", sorted([*COMMANDS, "web", "invoices"])),
        ("-n billing -n shop w", ["web"]),
        ("expose c", ["cart"]),
        ("expose billing/", ["billing/invoices", "billing/web"]),
        ("expose billing/web billing/", ["billing/invoices"]),
        ("expose --map ", []),
        ("--exclude w", ["web"]),
        ("--context ", ["arn:aws:eks:x/y", "context-1", "context-2"]),
        ("--context=ar", ["arn:aws:eks:x/y"]),
        ("expose --cluster cl", ["cluster-1", "cluster-2"]),
        ("--user user-2", ["user-2"]),
        ("-n ", ["billing", "kube-system", "shop"]),
        ("-n shop -n ", ["billing", "kube-system"]),
        ("-n shop --skip-namespace s", ["shop"]),
        ("ls -o ", ["custom-columns=", "json", "jsonpath=", "name", "table", "wide", "yaml"]),
        ("version -o ", ["json", "yaml"]),
        ("version --output=y", ["yaml"]),
        ("-o ", []),
        ("completion ", ["bash", "fish", "install", "zsh"]),
        ("completion bash ", []),
        ("stop ", []),
        ("logs ", []),
        ("stop --a", ["--all", "--as", "--as-group"]),
        ("ls -w --w", []),
        ("ls -n shop --names", ["--namespace"]),
        ("--detach=f", []),
        ("expose web -- np", ["npm", "npx"]),
    ],
)
def test_lines(line: str, expected: list[str]) -> None:
    assert _offered(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ls ", ["billing/invoices", "cart", "invoices", "live/web", "shop/cart", "shop/web", "web"]),
        ("ls --context prod ", ["live/web", "web"]),
        ("ls -n shop ", ["cart", "web"]),
        ("ls -n ", ["billing", "live", "shop"]),
        ("ls --context ", ["dev", "prod"]),
        ("stop --context p", ["prod"]),
        ("stop ", ["billing/invoices", "cart", "invoices", "shop/cart", "shop/web", "web"]),
        ("stop -n ", ["billing", "shop"]),
        ("logs --context p", []),
        ("expose --stop ", ["billing/invoices", "cart"]),
        ("expose -n billing --stop ", ["invoices"]),
    ],
)
def test_what_runs(line: str, expected: list[str]) -> None:
    names = ScriptedNames(RUNNING)
    assert _offered(line, names) == expected
    assert names.asked == [], "the cluster is not asked for what this machine knows"


def test_what_runs_is_offered_beside_what_the_cluster_says() -> None:
    names = ScriptedNames(
        [Running("dev", "shop", "brand-new", exposed=False), Running("prod", "shop", "brand-old", False)]
    )
    assert _offered("expose brand", names) == ["brand-new"]


@pytest.mark.parametrize(("line", "namespace"), [("expose ", "shop"), ("expose -n a -n b ", "b")])
def test_the_namespace_to_list_where_not_all_may_be(line: str, namespace: str) -> None:
    names = ScriptedNames()
    _offered(line, names)
    assert names.asked == [namespace]


@pytest.mark.parametrize(
    "line",
    ["--kubeconfig ", "--kubeconfig=/et", "--hosts-file x", "expose a -- ", "expose a -- ./x", "expose a -- sh x"],
)
def test_files(line: str) -> None:
    answer = complete(read_line(line.split(" ")), ScriptedNames())
    assert (answer.candidates, answer.files) == ((), True)


@pytest.mark.parametrize("line", ["", "ls ", "-n ", "--con", "expose --map ", "stop "])
def test_no_files(line: str) -> None:
    assert not complete(read_line(line.split(" ")), ScriptedNames()).files


@pytest.mark.parametrize("command", [START, *COMMANDS])
def test_every_flag_is_offered_once_and_by_its_letter_after_a_single_dash(command: str) -> None:
    line = f"{command} -".lstrip()
    assert _offered(line) == sorted(spelling for flag in flags_of(command) for spelling in flag.spellings)
    assert _offered(line + "-") == sorted(f"--{flag.name}" for flag in flags_of(command))


def test_commands_and_flags_say_what_they_are() -> None:
    commands = complete(read_line(["expo"]), ScriptedNames()).candidates
    assert [candidate.description for candidate in commands] == [
        "send a Service's traffic to a process on this machine"
    ]
    flags = complete(read_line(["--detac"]), ScriptedNames()).candidates
    assert [candidate.description for candidate in flags] == [
        "return once everything listens; it runs in the background until stop"
    ]


@pytest.mark.parametrize("command", [START, *COMMANDS])
def test_every_flag_with_a_value_is_understood(command: str) -> None:
    """A misspelt kind would silently offer nothing, and check nothing."""
    kinds = {flag.kind for flag in flags_of(command)}
    assert kinds <= {
        "", "context", "cluster", "user", "namespace", "service", "file", "duration", "count", "domain", "map",
        "failsafe", "amounts", "pairs",
    }  # fmt: skip
    assert not [flag.name for flag in flags_of(command) if flag.kind and not flag.value]
