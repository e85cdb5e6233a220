"""The flags, help and examples of every command, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """One flag.

    Args:
        name: the long spelling without dashes.
        help: its line in `-h`.
        short: the one-letter spelling without dash, or empty.
        value: what `-h` calls its value; empty for a switch.
        many: whether it may be given several times; a switch then counts.
        choices: the values it may have; empty for any.
        kind: what its value is. Tab completes a context, cluster, user, namespace, service or file; arguments.py
            checks a namespace, service, duration, count, domain, map, failsafe, amounts or pairs. Empty: any text.
        group: its heading in `-h`.
        attribute: its name in `Arguments`, if not its own with underscores.
        switch: the name in `Arguments` of what it switches on if it is given without its value; empty if it needs one.
    """

    name: str
    help: str
    short: str = ""
    value: str = ""
    many: bool = False
    choices: tuple[str, ...] = ()
    kind: str = ""
    group: str = "Flags"
    attribute: str = ""
    switch: str = ""

    @property
    def spellings(self) -> tuple[str, ...]:
        """How it may be typed: `-n`, `--namespace`."""
        return (f"-{self.short}", f"--{self.name}") if self.short else (f"--{self.name}",)


@dataclass(frozen=True)
class Command:
    """What `-h` and the parser know of a command.

    Args:
        summary: what it does, in a line: for the list in `-h`, and for shells that show it beside the command.
        usage: its words and flags.
        description: what it does, in a paragraph.
        flags: its own flags; every command has the connection and general ones as well.
        examples: a comment and a command line each.
        notes: what there is to say after the examples.
        word: what its positional argument is called; empty if it has none.
        word_help: what that may be.
        program: whether it starts the command line after `--`.
    """

    summary: str
    usage: str
    description: str
    flags: tuple[Flag, ...]
    examples: str
    notes: str = ""
    word: str = ""
    word_help: str = ""
    program: bool = False


_CONNECTION = "Connection (as for kubectl)"
_CONNECTION_FLAGS = (
    Flag("kubeconfig", "the kubeconfig file", value="FILE", kind="file", group=_CONNECTION),
    Flag("context", "the kubeconfig context", value="NAME", kind="context", group=_CONNECTION),
    Flag("cluster", "the kubeconfig cluster", value="NAME", kind="cluster", group=_CONNECTION),
    Flag("user", "the kubeconfig user", value="NAME", kind="user", group=_CONNECTION),
    Flag("as", "the user to act as", value="USER", group=_CONNECTION, attribute="impersonate"),
    Flag("as-group", "a group to act as; may be repeated", value="GROUP", many=True, group=_CONNECTION,
         attribute="impersonate_groups"),
)  # fmt: skip
_GENERAL = "General"
_GENERAL_FLAGS = (
    Flag("verbose", "say more; -vv also shows stack traces", short="v", many=True, group=_GENERAL,
         attribute="verbosity"),
    Flag("no-color", "no colours (as does NO_COLOR)", group=_GENERAL),
    Flag("help", "show this text", short="h", group=_GENERAL),
)  # fmt: skip
_WHICH = "Which Services"
_RUNNING = "How it runs"
_NAMES = "Names and addresses"
_WHERE = "Where the local process is"
_SAFETY = "Safety"
_POLICY = "What policies of the cluster want"


def _namespace(help_line: str, group: str = _CONNECTION) -> Flag:
    return Flag("namespace", help_line, short="n", value="NS", many=True, kind="namespace", group=group,
                attribute="namespaces")  # fmt: skip


def _output(*formats: str) -> Flag:
    listed = f"{', '.join(formats[:-1])} or {formats[-1]}"
    return Flag("output", listed, short="o", value="FORMAT", choices=formats)


_ONE_NAMESPACE = _namespace("the namespace")
_SELECTOR = Flag("selector", "only Services with these labels", short="l", value="SELECTOR", group=_WHICH)
_PATTERNS = "svc, ns/svc or a glob of either"
START = ""
COMPLETION_WORDS: Mapping[str, str] = {
    "bash": "print the script for bash",
    "zsh": "print the script for zsh",
    "fish": "print the script for fish",
    "install": "place the files that shells and kubectl look for",
}
_TABLE: Mapping[str, Command] = {
    START: Command(
        summary="make a cluster's Services reachable from this machine",
        usage="kubectl localize [SERVICE…] [flags]",
        description="""\
Makes a cluster's Services reachable from this machine, at the same names and ports that
they have inside the cluster, until Ctrl-C. Nothing is installed in the cluster.""",
        word="SERVICE",
        word_help=f"{_PATTERNS} ('shop/*'); all Services but kube-system's if left out",
        flags=(
            _namespace("Services of this namespace; may be repeated", _WHICH),
            Flag("all-namespaces", "Services of all namespaces, kube-system too", short="A", group=_WHICH),
            _SELECTOR,
            Flag("skip-namespace", "leave this namespace out; may be repeated", value="NS", many=True,
                 kind="namespace", group=_WHICH, attribute="skip_namespaces"),
            Flag("exclude", "leave these Services out; may be repeated", value="GLOB", many=True, kind="service",
                 group=_WHICH),
            Flag("detach", "return once everything listens; it runs in the background until stop", short="d",
                 group=_RUNNING),
            Flag("no-sudo", "never ask for privileges", group=_RUNNING),
            Flag("idle-timeout", "end a port-forward that nobody has used for this time (5m)", value="TIME",
                 kind="duration", group=_RUNNING),
            Flag("max-children", "if there are more port-forwards than this, the longest idle one ends (64)", value="N",
                 kind="count", group=_RUNNING),
            Flag("wait-timeout", "how long a connection waits for a Ready pod (30s)", value="TIME", kind="duration",
                 group=_RUNNING),
            Flag("no-hosts", "do not write names to the hosts file", group=_NAMES),
            Flag("hosts-file", "write names to this file (/etc/hosts)", value="FILE", kind="file", group=_NAMES),
            Flag("ip-range", "the range that addresses come from (127.64.0.0/10)", value="CIDR", group=_NAMES),
            Flag("cluster-domain", "the cluster's DNS domain (cluster.local)", value="NAME", kind="domain",
                 group=_NAMES),
            Flag("allow-other-users", "let every user of this machine connect, not only this one and root",
                 group=_NAMES),
        ),
        examples="""\
  # every Service of the current context
  kubectl localize
  # the Services of two namespaces, in the background
  kubectl localize -n shop -n backoffice -d
  # one Service, and all whose names begin with rep in another namespace
  kubectl localize web 'backoffice/rep*'
  # by label, without names in the hosts file
  kubectl localize -A -l app.kubernetes.io/part-of=shop --no-hosts
  # list what runs, and end it
  kubectl localize ls
  kubectl localize stop""",
        notes="""\
If a Service is called like a command, or help, write it with its namespace: shop/ls.
Times are written like 500ms, 30s, 5m or 1h30m.""",
    ),
    "expose": Command(
        summary="send a Service's traffic to a process on this machine",
        usage="kubectl localize expose SERVICE… [flags] [-- COMMAND…]",
        description="""\
Sends a Service's traffic to a process on this machine, until Ctrl-C. Meanwhile the workload behind the Service is
scaled to zero; at the end it is scaled up again, and this returns when it is Ready.""",
        word="SERVICE",
        word_help="svc or ns/svc",
        program=True,
        flags=(
            Flag("map", "where the local process listens (127.0.0.1 or ::1, the target port's number), and the"
                 " Service's port that it serves; may be repeated", value="[SERVICE=][HOST:]LOCAL[:PORT]", many=True,
                 kind="map", group=_WHERE, attribute="maps"),
            Flag("env", "with -- COMMAND: give it this variable of the container, though it stays away by default (what"
                 " describes or runs in the container); may be repeated", value="NAME", many=True, group=_RUNNING),
            Flag("env-exclude", "with -- COMMAND: do not give it the container's variables that match; may be repeated",
                 value="GLOB", many=True, group=_RUNNING),
            _namespace("the Services' namespace"),
            Flag("detach", "return once it is live; it runs in the background until --stop", short="d", group=_RUNNING),
            Flag("stop", "end the exposure, and return when the workload is back", group=_RUNNING),
            Flag("keep", "leave the workload running, and switch the Service's selector instead; this works for any"
                 " pods", group=_RUNNING),
            Flag("share", "leave both as they are: the pods and the local process share the traffic", group=_RUNNING),
            Flag("dry-run", "do all checks, say what would be changed, and change nothing", group=_SAFETY),
            Flag("force", "go on even if nothing listens here, if GitOps, an operator or an autoscaler scales the"
                 " workload, or if another Service loses its endpoint", group=_SAFETY),
            Flag("take-over", "if the exposure of a colleague is in the way who has been silent for 10 minutes, end it"
                 " first (ls --cluster shows it)", group=_SAFETY),
            Flag("failsafe", "how long this machine may be gone until the cluster itself brings all back (10m);"
                 " off: never", value="TIME", kind="failsafe", group=_SAFETY),
            Flag("failsafe-service-account", "the ServiceAccount for that, if you may not make one"
                 " (docs/rbac.yaml)", value="NAME", group=_SAFETY),
            Flag("image", "the exposure pod's image; it needs sshd", value="IMAGE", group=_RUNNING),
            Flag("failsafe-image", "the failsafe's image; it needs curl (default: the same image)", value="IMAGE",
                 group=_RUNNING),
            Flag("image-pull-secret", "a pull secret for these images, besides the workload's own", value="NAME",
                 group=_RUNNING),
            Flag("requests", "what each container of the exposure pod asks for, instead of what a policy refuses;"
                 " cpu=0: nothing", value="cpu=10m,memory=16Mi", many=True, kind="amounts", group=_POLICY),
            Flag("limits", "what each container of it may use", value="cpu=1,memory=256Mi", many=True, kind="amounts",
                 group=_POLICY),
            Flag("labels", "labels for the pod and all that is made for it", value="KEY=VALUE,…", many=True,
                 kind="pairs", group=_POLICY),
            Flag("annotations", "annotations for these", value="KEY=VALUE,…", many=True, kind="pairs", group=_POLICY),
        ),
        examples="""\
  # to the process that listens on the Service's target port here
  kubectl localize expose shop/web
  # to another port
  kubectl localize expose shop/web --map 3000
  # also start the process, with the environment of the container that it replaces
  kubectl localize expose shop/web --map 3000 -- npm run dev
  # say what would be changed
  kubectl localize expose shop/web --dry-run
  # in the background, and end it
  kubectl localize expose shop/web -d
  kubectl localize expose shop/web --stop""",
        notes="After a crash, `kubectl localize restore` or the next start puts everything back.",
    ),
    "restore": Command(
        summary="undo what a crashed run left",
        usage="kubectl localize restore [flags]",
        description="""\
Finds what your crashed runs left, in the cluster and on this machine, and undoes it. It names what belongs to a live
run or to somebody else, and leaves it alone. It asks before it undoes what this machine has no record of.""",
        flags=(
            Flag("dry-run", "say what would be undone, and undo nothing"),
            Flag("yes", "also undo sessions that this machine has no record of, without asking", short="y"),
            _namespace("also look in this namespace, if you may not list all of them; may be repeated", "Flags"),
        ),
        examples="""\
  kubectl localize restore --dry-run
  kubectl localize restore
  kubectl localize restore -n shop""",
    ),
    "ls": Command(
        summary="list what is forwarded and exposed, with its health",
        usage="kubectl localize ls [SERVICE…] [flags]",
        description="""\
Lists what is forwarded and exposed, with its health. It asks the cluster with --cluster only, which lists who exposes
what there.""",
        word="SERVICE",
        word_help=f"{_PATTERNS}; everything if left out",
        flags=(
            _namespace("only this namespace; may be repeated", _WHICH),
            Flag("all-namespaces", "all namespaces, as without -n", short="A", group=_WHICH),
            _SELECTOR,
            Flag("all", "also what cannot be forwarded, and why", group=_WHICH, attribute="everything"),
            Flag("cluster", "without NAME: ask the cluster who exposes what, from where, and whether --take-over is"
                 " safe; with it: the kubeconfig cluster", value="NAME", kind="cluster", switch="whole_cluster"),
            _output("table", "wide", "json", "yaml", "name", "jsonpath=", "custom-columns="),
            Flag("no-headers", "no line with the names of the columns"),
            Flag("watch", "keep it up to date until Ctrl-C", short="w"),
        ),
        examples="""\
  # everything that runs, with host names, connections, bytes and restarts
  kubectl localize ls -o wide
  # one namespace, kept up to date
  kubectl localize ls -n shop -w
  # who exposes what in the cluster, colleagues too
  kubectl localize ls --cluster
  # the address of a Service
  kubectl localize ls shop/web -o json | jq -r '.items[].address'""",
        notes="""\
STATUS is the worst of the Service's ports:
  Idle       it listens; the port-forward starts with the first connection
  Active     a port-forward runs
  Waiting    no pod is Ready, or the cluster does not answer; new connections wait
  Backoff    the port-forward has failed, or the port is taken here; REASON says when it is tried again, or by whom
  Skipped    it cannot be forwarded; REASON says why
  Exposing, Exposed, Restoring
             its traffic comes to this machine: it is being set up, is there, is being taken back
HOST is the shortest name that leads to ADDRESS. PORT(S) are as for kubectl: 80->http is port 80, which leads to the
pods' port http; 8080:80->http is port 80, which had to be 8080 on this machine. ENDPOINT is the pod in use.
-o json -w prints one document a line, one for each change.""",
    ),
    "stop": Command(
        summary="end what runs, or some of it",
        usage="kubectl localize stop [SERVICE…] [flags]",
        description="""\
Ends what is forwarded and exposed, and returns when everything is back as it was: all of the context, or the Services
that are named. It ends them whoever started them; a command in another terminal that has nothing left ends, too.""",
        word="SERVICE",
        word_help=f"{_PATTERNS}; everything if left out",
        flags=(
            _namespace("only what runs in this namespace; may be repeated", _WHICH),
            Flag("all", "everything, in all contexts", attribute="all_contexts"),
        ),
        examples="""\
  # everything that runs in the current context
  kubectl localize stop
  # one Service, and a namespace
  kubectl localize stop shop/web
  kubectl localize stop -n shop
  kubectl localize stop --context kind-dev
  kubectl localize stop --all""",
    ),
    "logs": Command(
        summary="print the supervisor's log",
        usage="kubectl localize logs [flags]",
        description="""\
Prints the supervisor's log: of --context; else of the only context that has a log; else of the current context.""",
        flags=(Flag("follow", "go on printing new lines until Ctrl-C", short="f"), _ONE_NAMESPACE),
        examples="""\
  kubectl localize logs
  kubectl localize logs -f --context kind-dev""",
    ),
    "completion": Command(
        summary="make Tab complete in bash, zsh and fish",
        usage="kubectl localize completion bash|zsh|fish|install [flags]",
        description="""\
Makes Tab complete commands, flags, Services, namespaces and contexts. With the name of a shell it prints the script
for kubectl-localize in that shell. `install` places two kinds of files, and says which: kubectl_complete-localize in
PATH, with which kubectl 1.26 and later completes `kubectl localize` in every shell that completes kubectl; and each
shell's script in the directory from which that shell loads it. It replaces no file that something else wrote, and
edits none of yours.""",
        word="WHAT",
        word_help="bash, zsh, fish or install",
        flags=(Flag("remove", "with install: delete the files that it placed"), _ONE_NAMESPACE),
        examples="""\
  # once, for kubectl localize (and for kubectl-localize in bash and fish)
  kubectl localize completion install
  # for that, kubectl's own completion has to be on, in bash
  source <(kubectl completion bash)
  # for kubectl-localize in zsh, in ~/.zshrc
  source <(kubectl-localize completion zsh)
  # delete what install placed
  kubectl localize completion install --remove""",
        notes="Names come from the cluster. While it is away or slow, Tab offers the names that it knew last.",
    ),
    "version": Command(
        summary="print the versions of kubectl localize, kubectl, ssh and the server",
        usage="kubectl localize version [flags]",
        description="Prints the versions of kubectl localize, kubectl, ssh and the server.",
        flags=(Flag("client", "do not ask the server"), _output("json", "yaml"), _ONE_NAMESPACE),
        examples="""\
  kubectl localize version
  kubectl localize version --client -o json""",
    ),
}  # fmt: skip
COMMANDS = tuple(name for name in _TABLE if name)
PROGRAM_COMMANDS = tuple(name for name, command in _TABLE.items() if command.program)
SUMMARIES: Mapping[str, str] = {name: _TABLE[name].summary for name in COMMANDS}


def command_named(name: str) -> Command:
    """The data of a command, by its name; START is `kubectl localize` itself."""
    return _TABLE[name]


def flags_of(command: str) -> tuple[Flag, ...]:
    """All flags of a command, in the order of its help. Its own `--cluster` takes the place of kubectl's (`ls`)."""
    own = _TABLE[command].flags
    names = {flag.name for flag in own}
    return (*own, *(flag for flag in (*_CONNECTION_FLAGS, *_GENERAL_FLAGS) if flag.name not in names))


def by_spelling(flags: tuple[Flag, ...]) -> dict[str, Flag]:
    """Flags by what is typed: `-n` and `--namespace`."""
    return {spelling: flag for flag in flags for spelling in flag.spellings}


def all_by_spelling() -> dict[str, Flag]:
    """The flags of all commands; a spelling must take a value in all of them or in none (a test holds this)."""
    return {spelling: flag for command in _TABLE for spelling, flag in by_spelling(flags_of(command)).items()}
