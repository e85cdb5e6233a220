"""A real cluster on this machine, a small shop in it, and the shop's Services by their own names.

python -m tests.demo up      everything, from nothing
python -m tests.demo down    all of it away again
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from kubectl_localize.host.paths import HOME_VARIABLE
from tests.cluster.commands import ClusterError, run, wait_until, without_proxy_for
from tests.cluster.node import Node
from tests.cluster.paths import CHECKOUT, NODES, Cache
from tests.demo.shop import ASK, EXPOSE, NAMESPACES, Visit, objects, visits, workloads
from tests.environment import Environment
from tests.real.manifests import as_list

NODE = "demo"
HOSTS = Path("/etc/hosts")
NOTES = CHECKOUT / "build" / "demo.json"


@dataclass(frozen=True)
class Before:
    """What the machine was like before the demo."""

    hosts_digest: str
    had_environment: bool

    @classmethod
    def look(cls) -> Before:
        """Take it in."""
        return cls(_digest(HOSTS), Environment.of_checkout().root.exists())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _title(text: str) -> None:
    bold = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    print(f"\n{bold[0]}{text}{bold[1]}", flush=True)


class Demo:
    """The demo's steps."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.kubeconfig = NODES / NODE / "admin.kubeconfig"
        self.home = environment.root / "demo"
        self.exports = {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(CHECKOUT / "build" / "kubectl-cache"),  # or kubectl's would be in ~/.kube
            HOME_VARIABLE: str(self.home),  # and so would ours
        }

    @property
    def variables(self) -> dict[str, str]:
        """What every command of the demo starts with; the node is reached without a proxy."""
        path = os.pathsep.join([*map(str, self.environment.directories), os.environ.get("PATH", "/usr/bin:/bin")])
        node = Node(NODE, Cache.default())
        direct = without_proxy_for(node.ip) if node.record else {}
        return {**os.environ, **direct, **self.exports, "PATH": path}

    def up(self) -> None:
        """From nothing to answers by name."""
        NOTES.parent.mkdir(exist_ok=True)
        if not NOTES.exists():
            NOTES.write_text(json.dumps(asdict(Before.look())))
        _title("1. A real Kubernetes on this machine, in namespaces of its own")
        self._cluster("up")
        self.environment.make()
        print(self._kubectl("get", "nodes").rstrip())
        _title("2. A small shop in it")
        for namespace in NAMESPACES:
            manifest = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            self._kubectl("apply", "-f", "-", stdin=manifest)
            self._kubectl("apply", "-n", namespace, "-f", "-", stdin=as_list(*objects(namespace)))
        for namespace in NAMESPACES:
            for workload in workloads(namespace):
                self._kubectl("rollout", "status", workload, "-n", namespace, "--timeout=90s")
        print(self._kubectl("get", "deployments,statefulsets,services", "--namespace=shop").rstrip())
        _title("3. kubectl localize -d")
        self._localize("-d")
        _title("4. kubectl localize ls")
        self._localize("ls")
        _title("5. Every Service by its own name, from this machine")
        self._visit_all(visits(NODE, self._names()))
        _title("Try it yourself")
        print(f"  export {' '.join(f'{name}={shlex.quote(value)}' for name, value in self.exports.items())}")
        print(f"  export PATH={':'.join(map(str, self.environment.directories))}:$PATH")
        print("  kubectl localize ls -o wide\n\n  # the Service web, answered by a web server on this machine")
        print(f"  {shlex.join(['kubectl', 'localize', *EXPOSE])}\n  {shlex.join(['kubectl', *ASK])}    # meanwhile")
        print("\n  make demo-down    puts this machine back as it was")

    def down(self) -> None:
        """All of it away, in the other order."""
        if self.environment.command.exists() and self.kubeconfig.exists():
            self._localize("stop")
        self._cluster("down")
        if NOTES.exists():
            notes = json.loads(NOTES.read_text())
            before = Before(notes["hosts_digest"], notes["had_environment"])
            shutil.rmtree(self.home, ignore_errors=True)
            if not before.had_environment:
                self.environment.remove()
            NOTES.unlink()
            self._check_hosts(before)
        print("the demo and its cluster are gone")

    def _check_hosts(self, before: Before) -> None:
        """Say whether the hosts file is as it was; ClusterError when a line of the demo's is left in it."""
        if _digest(HOSTS) == before.hosts_digest:
            print(f"{HOSTS} is byte for byte what it was before the demo")
        elif f"kubectl localize {NODE}-" in HOSTS.read_text():
            raise ClusterError(f"the demo's block is still in {HOSTS}")
        else:
            print(f"the demo's block is gone from {HOSTS}; something else in it was changed meanwhile by others")

    def _cluster(self, verb: str) -> None:
        """Start or stop the node, which asks for root by itself."""
        command = [sys.executable, "-m", "tests.cluster", verb, NODE]
        if subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=False).returncode:
            raise ClusterError(f"the cluster's {verb} failed")

    def _kubectl(self, *argv: str, stdin: str | None = None) -> str:
        return run(self.environment.kubectl, *argv, stdin=stdin, env=self.variables, timeout_seconds=120)

    def _localize(self, *argv: str) -> None:
        command = [str(self.environment.kubectl), "localize", *argv]
        sys.stdout.flush()
        if subprocess.run(command, env=self.variables, check=False).returncode:
            raise ClusterError(f"kubectl localize {' '.join(argv)} failed")

    def _names(self) -> set[str]:
        """The names that the product says it wrote."""
        text = run(self.environment.kubectl, "localize", "ls", "--context", NODE, "-o=json", env=self.variables)
        items = [item for item in json.loads(text)["items"] if item["context"] == NODE]
        pods = [pod for item in items for pod in item["pods"]]
        return {name for item in [*items, *pods] for name in item["hostnames"]}

    def _visit_all(self, places: list[Visit]) -> None:
        """Fetch every address by its name and show the answer; ClusterError when one is not as expected."""
        width = max(len(place.url) for place in places)
        about = ""
        for place in places:
            if place.about != about:
                about = place.about
                print(f"  {about}")
            wait_until(f"answer from {place.url}", lambda place=place: bool(_fetch(place.url)), 10)  # type: ignore[misc]
            answer = _fetch(place.url)
            print(f"    {place.url:<{width}}  {answer}", flush=True)
            if not answer.startswith(place.expected):
                raise ClusterError(f"{place.url} should have been answered by {place.expected}…")


def _fetch(url: str) -> str:
    """What a URL answers; empty when it does not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def main(words: list[str]) -> int:
    """Play the demo or clear it away; returns the exit code."""
    os.umask(0o022)
    demo = Demo(Environment.of_checkout())
    try:
        if words == ["up"]:
            demo.up()
        elif words == ["down"]:
            demo.down()
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make demo` goes on with it, `make demo-down` takes away what there is", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
