"""The flags of every command, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """One flag.

    Args:
        name: the long spelling without dashes; also its key in the parsed result.
        help: for `-h`.
        short: the one-letter spelling without dash, or empty.
        value: what its value is called; empty for a switch.
        many: whether it may be given several times (a switch then counts).
        choices: the values it may have; empty for any.
        names: what its value is the name of, for completion: context, cluster, user, namespace, service or file;
            empty where no list could help.
        group: the heading in `-h`.
    """

    name: str
    help: str
    short: str = ""
    value: str = ""
    many: bool = False
    choices: tuple[str, ...] = ()
    names: str = ""
    group: str = "Flags"

    @property
    def spellings(self) -> tuple[str, ...]:
        """How it may be typed: `-n`, `--namespace`."""
        return (f"-{self.short}", f"--{self.name}") if self.short else (f"--{self.name}",)


_CONNECTION = "Connection (as for kubectl)"
_CONNECTION_FLAGS = (
    Flag("kubeconfig", "the kubeconfig file", value="FILE", names="file", group=_CONNECTION),
    Flag("context", "the kubeconfig context", value="NAME", names="context", group=_CONNECTION),
    Flag("cluster", "the kubeconfig cluster", value="NAME", names="cluster", group=_CONNECTION),
    Flag("user", "the kubeconfig user", value="NAME", names="user", group=_CONNECTION),
    Flag("as", "the user to act as", value="USER", group=_CONNECTION),
    Flag("as-group", "a group to act as; may be repeated", value="GROUP", many=True, group=_CONNECTION),
)
_ONE_NAMESPACE = Flag(
    "namespace", "the namespace", short="n", value="NS", many=True, names="namespace", group=_CONNECTION
)
_GENERAL = "General"
_GENERAL_FLAGS = (
    Flag("verbose", "say more; -vv also shows stack traces", short="v", many=True, group=_GENERAL),
    Flag("no-color", "no colours (as does NO_COLOR)", group=_GENERAL),
    Flag("help", "show this text", short="h", group=_GENERAL),
)
_WHICH = "Which Services"
_RUNNING = "How it runs"
_NAMES = "Names and addresses"
_SELECTOR = Flag("selector", "only Services with these labels", short="l", value="SELECTOR", group=_WHICH)

_START_FLAGS = (
    Flag("namespace", "Services of this namespace; may be repeated", short="n", value="NS", many=True,
         names="namespace", group=_WHICH),
    Flag("all-namespaces", "Services of all namespaces, kube-system too", short="A", group=_WHICH),
    _SELECTOR,
    Flag("skip-namespace", "leave this namespace out; may be repeated", value="NS", many=True, names="namespace",
         group=_WHICH),
    Flag("exclude", "leave these Services out; may be repeated", value="GLOB", many=True, names="service",
         group=_WHICH),
    Flag("detach", "return once everything listens; it runs on until stop", short="d", group=_RUNNING),
    Flag("no-sudo", "never ask for privileges", group=_RUNNING),
    Flag("idle-timeout", "end an unused port-forward after this time (5m)", value="TIME", group=_RUNNING),
    Flag("max-children", "how many port-forwards at once before the longest idle one ends (64)",
         value="N", group=_RUNNING),
    Flag("wait-timeout", "how long a connection waits for a Ready pod (30s)", value="TIME", group=_RUNNING),
    Flag("no-hosts", "leave names alone", group=_NAMES),
    Flag("hosts-file", "write names to this file (/etc/hosts)", value="FILE", names="file", group=_NAMES),
    Flag("ip-range", "where addresses come from (127.64.0.0/10)", value="CIDR", group=_NAMES),
    Flag("cluster-domain", "the cluster's DNS domain (cluster.local)", value="NAME", group=_NAMES),
    Flag("allow-other-users", "let every user of this machine connect, not only this one and root", group=_NAMES),
)  # fmt: skip
_WHERE = "Where the local process is"
_SAFETY = "Safety"
_EXPOSE_FLAGS = (
    Flag("map", "where the local process listens (127.0.0.1, the target port's number), and for which port of the"
         " Service; may be repeated", value="[SERVICE=][HOST:]LOCAL[:PORT]", many=True, group=_WHERE),
    Flag("namespace", "the Services' namespace", short="n", value="NS", many=True, names="namespace",
         group=_CONNECTION),
    Flag("detach", "return once it is live; it runs on until --stop", short="d", group=_RUNNING),
    Flag("stop", "end it, and return when the workload is back", group=_RUNNING),
    Flag("keep", "leave the workload running beside the local process", group=_RUNNING),
    Flag("dry-run", "check, say what would be changed, and change nothing", group=_SAFETY),
    Flag("force", "go on though nothing listens here, or though GitOps, an operator or an autoscaler scales the"
         " workload", group=_SAFETY),
    Flag("failsafe", "after how long without this machine the cluster itself brings the workload back (10m); off:"
         " never", value="TIME", group=_SAFETY),
    Flag("failsafe-service-account", "the ServiceAccount that does so, where you may make none (docs/rbac.yaml)",
         value="NAME", group=_SAFETY),
    Flag("image", "the exposure pod's image, one with sshd", value="IMAGE", group=_RUNNING),
    Flag("failsafe-image", "the failsafe's, one with curl (the same)", value="IMAGE", group=_RUNNING),
    Flag("image-pull-secret", "for these images, besides the workload's own", value="NAME", group=_RUNNING),
)  # fmt: skip
_RESTORE_FLAGS = (
    Flag("dry-run", "say what would be undone, and undo nothing"),
    Flag("namespace", "look in this namespace where all of them may not be listed; may be repeated", short="n",
         value="NS", many=True, names="namespace"),
)  # fmt: skip
_LS_FLAGS = (
    Flag("namespace", "only this namespace; may be repeated", short="n", value="NS", many=True, names="namespace",
         group=_WHICH),
    _SELECTOR,
    Flag("output", "table, wide, json, yaml or name", short="o", value="FORMAT",
         choices=("table", "wide", "json", "yaml", "name")),
    Flag("watch", "keep it up to date until Ctrl-C", short="w"),
)  # fmt: skip
_STOP_FLAGS = (Flag("all", "the supervisors of all contexts"), _ONE_NAMESPACE)
_LOGS_FLAGS = (Flag("follow", "go on with what is written until Ctrl-C", short="f"), _ONE_NAMESPACE)
_VERSION_FLAGS = (
    Flag("client", "do not ask the server"),
    Flag("output", "json or yaml", short="o", value="FORMAT", choices=("json", "yaml")),
    _ONE_NAMESPACE,
)
_COMPLETION_FLAGS = (Flag("remove", "with install: take away what it placed"), _ONE_NAMESPACE)

START = ""
_FLAGS: Mapping[str, tuple[Flag, ...]] = {
    START: _START_FLAGS,
    "expose": _EXPOSE_FLAGS,
    "restore": _RESTORE_FLAGS,
    "ls": _LS_FLAGS,
    "stop": _STOP_FLAGS,
    "logs": _LOGS_FLAGS,
    "completion": _COMPLETION_FLAGS,
    "version": _VERSION_FLAGS,
}
COMMANDS = tuple(name for name in _FLAGS if name)
PROGRAM_COMMANDS = ("expose",)  # those that start what comes after `--`
COMPLETION_WORDS: Mapping[str, str] = {
    "bash": "print the script for bash",
    "zsh": "print the script for zsh",
    "fish": "print the script for fish",
    "install": "place what the shells and kubectl look for",
}


def flags_of(command: str) -> tuple[Flag, ...]:
    """All flags of a command, in the order of its help."""
    return (*_FLAGS[command], *_CONNECTION_FLAGS, *_GENERAL_FLAGS)


def by_spelling(flags: tuple[Flag, ...]) -> dict[str, Flag]:
    """Flags by what is typed: `-n` and `--namespace`."""
    return {spelling: flag for flag in flags for spelling in flag.spellings}


def all_by_spelling() -> dict[str, Flag]:
    """The flags of all commands; a spelling must take a value in all of them or in none (a test holds this)."""
    return {spelling: flag for command in _FLAGS for spelling, flag in by_spelling(flags_of(command)).items()}
