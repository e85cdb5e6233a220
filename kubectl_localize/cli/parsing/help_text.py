"""The words of `-h`: for each command what it does, its usage line and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubectl_localize.cli.parsing.flags import START

# What each command does, in a line: for the list in `-h`, and for shells that show it beside a command.
SUMMARIES: Mapping[str, str] = {
    "expose": "send a Service's traffic to a process on this machine",
    "restore": "undo what a crashed run left",
    "ls": "what is forwarded and exposed, with its health",
    "stop": "end what runs in the background",
    "logs": "the supervisor's log",
    "completion": "Tab in bash, zsh and fish",
    "version": "the versions of kubectl localize, kubectl, ssh and the server",
}
_WIDTH = max(len(name) for name in SUMMARIES) + 2


@dataclass(frozen=True)
class HelpText:
    """What `-h` says besides the flags."""

    usage: str
    description: str
    epilog: str
    positional: str = ""
    word: str = "SERVICE"  # what the positional is called


_START = HelpText(
    usage="kubectl localize [SERVICE…] [flags]",
    description="""\
Makes a cluster's Services reachable from this machine, at the same names and ports that
they have inside the cluster, until Ctrl-C. Nothing is installed in the cluster.""",
    positional="svc, ns/svc or a glob of either ('webshop/*'); all Services but kube-system's when left out",
    epilog="""\
Examples:
  # every Service of the current context
  kubectl localize
  # the Services of two namespaces, in the background
  kubectl localize -n webshop -n billing -d
  # one Service, and all whose names begin with db- in another namespace
  kubectl localize web 'billing/db-*'
  # by label, without touching the hosts file
  kubectl localize -A -l app.kubernetes.io/part-of=shop --no-hosts
  # what runs, and its end
  kubectl localize ls
  kubectl localize stop

Commands (kubectl localize COMMAND -h):
"""
    + "".join(f"  {name:<{_WIDTH}}{summary}\n" for name, summary in SUMMARIES.items())
    + """\

A Service that is called like a command, or help, is written with its namespace: webshop/ls.
Times are written like 500ms, 30s, 5m or 1h30m.""",
)

_EXPOSE = HelpText(
    usage="kubectl localize expose SERVICE… [flags] [-- COMMAND…]",
    description="""\
Sends a Service's traffic to a process on this machine, until Ctrl-C. The workload behind the Service is scaled
down meanwhile, and is back and Ready at the end.""",
    positional="svc or ns/svc",
    epilog="""\
Examples:
  # what listens on the Service's target port here gets its traffic
  kubectl localize expose webshop/cart
  # on another port
  kubectl localize expose webshop/cart --map 3000
  # start it, too, with the environment of the container that it replaces
  kubectl localize expose webshop/cart --map 3000 -- npm run dev
  # what would be changed
  kubectl localize expose webshop/cart --dry-run
  # in the background, and its end
  kubectl localize expose webshop/cart -d
  kubectl localize expose webshop/cart --stop

After a crash `kubectl localize restore`, or simply the next start, puts everything back.""",
)

_RESTORE = HelpText(
    usage="kubectl localize restore [flags]",
    description="""\
Finds what crashed runs of yours left, in the cluster and on this machine, and undoes it. What a live run or
somebody else holds is left alone and named.""",
    epilog="""\
Examples:
  kubectl localize restore --dry-run
  kubectl localize restore
  kubectl localize restore -n webshop""",
)

_LS = HelpText(
    usage="kubectl localize ls [SERVICE…] [flags]",
    description="Lists what is forwarded and exposed, with its health. It asks no cluster.",
    positional="svc, ns/svc or a glob of either; everything when left out",
    epilog="""\
Examples:
  # everything that runs, with host names, connections, bytes and restarts
  kubectl localize ls -o wide
  # one namespace, kept up to date
  kubectl localize ls -n webshop -w
  # the address of a Service
  kubectl localize ls webshop/web -o json | jq -r '.items[].address'

With -o json -w there is one document a line, one for each change.""",
)

_STOP = HelpText(
    usage="kubectl localize stop [flags]",
    description="""\
Ends the supervisor of the context and returns when everything is back as it was.""",
    epilog="""\
Examples:
  kubectl localize stop
  kubectl localize stop --context kind-dev
  kubectl localize stop --all""",
)

_LOGS = HelpText(
    usage="kubectl localize logs [flags]",
    description="""\
Prints the supervisor's log: of --context, of the only context that has one, or of the current context.""",
    epilog="""\
Examples:
  kubectl localize logs
  kubectl localize logs -f --context kind-dev""",
)

_COMPLETION = HelpText(
    usage="kubectl localize completion bash|zsh|fish|install [flags]",
    description="""\
Makes Tab complete commands, flags, Services, namespaces and contexts. With the name of a shell it prints the script
for kubectl-localize in that shell. `install` places what the shells and kubectl look for, and says what it did: a
kubectl_complete-localize in PATH, by which kubectl 1.26 and later completes `kubectl localize` in every shell in which
kubectl itself is completed, and the scripts where a shell loads them by itself. It replaces no file of anybody
else's, and edits none of yours.""",
    positional="bash, zsh, fish or install",
    word="WHAT",
    epilog="""\
Examples:
  # once, for kubectl localize (and for kubectl-localize in bash and fish)
  kubectl localize completion install
  # kubectl's own completion has to be on for that, in bash
  source <(kubectl completion bash)
  # for kubectl-localize in zsh, in ~/.zshrc
  source <(kubectl-localize completion zsh)
  # takes away what install placed
  kubectl localize completion install --remove

Names come from the cluster, and while it is away or slow from what it said last.""",
)

_VERSION = HelpText(
    usage="kubectl localize version [flags]",
    description="Prints the versions of kubectl localize, kubectl, ssh and the server.",
    epilog="""\
Examples:
  kubectl localize version
  kubectl localize version --client -o json""",
)

_TEXTS = {
    START: _START,
    "expose": _EXPOSE,
    "restore": _RESTORE,
    "ls": _LS,
    "stop": _STOP,
    "logs": _LOGS,
    "completion": _COMPLETION,
    "version": _VERSION,
}


def help_text(command: str) -> HelpText:
    """The words for a command; START for none."""
    return _TEXTS[command]
