"""The cluster's command line: `python3 -m tests.cluster VERB [NODE]`, from the top of the checkout.

    up [NODE]                 install and build what is missing, start the node, print its kubeconfig's path
    down [NODE]               take it away without a trace
    sever [NODE], mend [NODE] make the link to it silent, and whole again
    restart-apiserver [NODE]  replace the API server's process
    load NODE ARCHIVE         bring an OCI image archive onto it
    inside NODE COMMAND…      run a command on it
    prepare                   only install and build
    packages                  only install the distribution's packages that are missing

Only the node itself needs root: as another user, its verbs are run through sudo.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.cluster.commands import ClusterError, as_root
from tests.cluster.node import Node
from tests.cluster.paths import CHECKOUT, Cache
from tests.cluster.prepare import Preparation

DEFAULT_NODE = "dev"


def _again_as_root(cache: Cache, words: list[str]) -> None:
    """Replace this process by the same command under sudo."""
    sudo = as_root()
    if sudo:
        os.chdir(CHECKOUT)
        # No byte code: root's files in the user's checkout would be in the user's way.
        environment = ["env", f"LOCALIZE_CACHE={cache.root}", "PYTHONDONTWRITEBYTECODE=1"]
        command = [*sudo, *environment, sys.executable, "-m", "tests.cluster", *words]
        os.execvp(command[0], command)


def _act(node: Node, verb: str, rest: list[str]) -> None:
    if verb == "up":
        print(node.up())
    elif verb == "load":
        node.load(Path(rest[0]).resolve())
    elif verb == "inside":
        command = [*node.inside_argv(), *rest]
        os.execvp(command[0], command)
    else:
        verbs = {
            "down": node.down,
            "sever": node.sever,
            "mend": node.mend,
            "restart-apiserver": node.restart_apiserver,
        }
        verbs[verb]()


def main(words: list[str]) -> int:
    """Carry out one verb; returns the exit code."""
    os.umask(0o022)  # other users read the node's certificates and programs, whatever the developer's shell says
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = ["up", "down", "sever", "mend", "restart-apiserver", "load", "inside", "prepare", "packages"]
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("node", nargs="?", default=DEFAULT_NODE)
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    arguments = parser.parse_args(words)
    cache = Cache.default()
    try:
        if arguments.verb == "packages":
            Preparation(cache).packages()
        elif arguments.verb in ("up", "prepare"):
            Preparation(cache).all()
        if arguments.verb not in ("packages", "prepare"):
            _again_as_root(cache, words)
            _act(Node(arguments.node, cache), arguments.verb, arguments.rest)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cluster: interrupted; `down` takes away what there is", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
