"""What a parsed command line says: one frozen dataclass for each command."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubectl_localize.model import PortMap


@dataclass(frozen=True, kw_only=True)
class ConnectionFlags:
    """kubectl's connection flags as they were typed; empty where a flag was not given."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()

    @property
    def given(self) -> bool:
        """Whether any of them was typed."""
        return self != ConnectionFlags()

    def kubectl_flags(self) -> tuple[str, ...]:
        """The same flags for a kubectl command line, such as `--context=kind-dev`."""
        pairs = (
            ("kubeconfig", self.kubeconfig),
            ("context", self.context),
            ("cluster", self.cluster),
            ("user", self.user),
            ("as", self.impersonate),
            *(("as-group", group) for group in self.impersonate_groups),
        )
        return tuple(f"--{name}={value}" for name, value in pairs if value)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What every command has.

    Args:
        connection: which cluster, and as whom.
        namespaces: the values of `-n`; commands that know one namespace only take the last.
        verbosity: how often `-v` was given.
        no_color: whether `--no-color` was given; NO_COLOR is looked at where colours are made.
    """

    connection: ConnectionFlags = field(default_factory=ConnectionFlags)
    namespaces: tuple[str, ...] = ()
    verbosity: int = 0
    no_color: bool = False


@dataclass(frozen=True, kw_only=True)
class HelpArgs(Arguments):
    """`-h` of any command: the text to print."""

    text: str


@dataclass(frozen=True, kw_only=True)
class StartArgs(Arguments):
    """`kubectl localize [SERVICE…]`; `parser.selection` and `parser.options` make the rooms' values of it.

    Args:
        idle_timeout_seconds, wait_timeout_seconds: seconds.
        hosts_file: as typed, empty where not given.
    """

    services: tuple[str, ...] = ()
    all_namespaces: bool = False
    selector: str = ""
    skip_namespaces: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    detach: bool = False
    hosts: bool = True
    hosts_file: str = ""
    no_sudo: bool = False
    allow_other_users: bool = False
    ip_range: str = ""
    cluster_domain: str = ""
    idle_timeout_seconds: float = 300.0
    max_children: int = 64
    wait_timeout_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class ExposeArgs(Arguments):
    """`expose SERVICE… [-- COMMAND…]`.

    Args:
        maps: the values of `--map`, parsed.
        failsafe_seconds: 0 for `off`.
        command: what comes after `--`.
    """

    services: tuple[str, ...] = ()
    maps: tuple[PortMap, ...] = ()
    detach: bool = False
    stop: bool = False
    keep: bool = False
    dry_run: bool = False
    force: bool = False
    failsafe_seconds: float = 600.0
    failsafe_service_account: str = ""
    image: str = ""
    failsafe_image: str = ""
    image_pull_secret: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RestoreArgs(Arguments):
    """`restore`."""

    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class LsArgs(Arguments):
    """`ls [SERVICE…]`; `output` is table, wide, json, yaml or name."""

    services: tuple[str, ...] = ()
    selector: str = ""
    output: str = "table"
    watch: bool = False


@dataclass(frozen=True, kw_only=True)
class StopArgs(Arguments):
    """`stop`; `all_contexts` is `--all`."""

    all_contexts: bool = False


@dataclass(frozen=True, kw_only=True)
class LogsArgs(Arguments):
    """`logs`."""

    follow: bool = False


@dataclass(frozen=True, kw_only=True)
class CompletionArgs(Arguments):
    """`completion`; `what` is bash, zsh, fish or install, and `remove` is for install only."""

    what: str
    remove: bool = False


@dataclass(frozen=True, kw_only=True)
class VersionArgs(Arguments):
    """`version`; `output` is empty (for people), json or yaml."""

    client: bool = False
    output: str = ""
