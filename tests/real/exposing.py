"""An exposure as a person sees it: the local process, the command in a terminal, and a client inside the cluster."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tests.cluster.commands import wait_until
from tests.cluster.paths import CHECKOUT
from tests.real.cluster import Cluster
from tests.real.exposure_pod import restricted
from tests.real.manifests import image
from tests.real.product import Done
from tests.real.sandbox import Sandbox
from tests.real.traffic import CLIENT, Attempt

LOCAL = "local"
PER_SECOND = 50
COUNTED_PER_SECOND = 40  # what a busy machine has to manage at least, or the test has shown nothing
PATIENCE_SECONDS = 15.0
CTRL_C = "\x03"
OURS = "app.kubernetes.io/managed-by=kubectl-localize"
RBAC = CHECKOUT / "docs" / "rbac.yaml"
DEVELOPERS = "developers"
DELETED_BY_US = ("Pod ", "Secret ", "Lease ")
KINDS = "pods,secrets,leases,serviceaccounts,roles,rolebindings"

# Answers every GET with its first argument; `/slow?1.5` after so many seconds. Prints its port, then a line per answer.
_SERVER = r"""
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, seconds = self.path.partition("?")
        if path == "/slow": time.sleep(float(seconds))
        body = sys.argv[1].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
        print(self.path, flush=True)
    def log_message(self, *words): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True; request_queue_size = 1024
server = Server((sys.argv[2], int(sys.argv[3])), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


class Local:
    """The local process: an HTTP server in the sandbox that answers `local`. `with Local(sandbox) as local:`"""

    def __init__(self, sandbox: Sandbox, port: int = 0, answer: str = LOCAL, host: str = "127.0.0.1") -> None:
        self._process = sandbox.spawn("/usr/bin/python3", "-c", _SERVER, answer, host, str(port))
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.requests: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Local:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def count(self) -> int:
        """How many requests it has answered."""
        return len(self.requests)

    def stop(self) -> None:
        """Kill it; another one may take its port then."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            self.requests.extend(line.strip() for line in lines)


def expose(sandbox: Sandbox, *argv: str, timeout: float = 90) -> Done:
    """Run `kubectl localize expose … --image` to its end, whatever its exit code."""
    return sandbox.localize("expose", "--image", image(), *argv, timeout=timeout)


class Expose:
    """`kubectl localize expose …` in a terminal of its own. `with Expose(sandbox, "ns/web") as command:`

    A test that ends well has to end it by itself; otherwise the window is closed, which ends it, too.
    """

    def __init__(self, sandbox: Sandbox, *argv: str) -> None:
        self.began = time.monotonic()
        self.terminal = sandbox.pty("kubectl", "localize", "expose", "--image", image(), *argv)

    def __enter__(self) -> Expose:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminal.close()

    def wait_exposed(self, seconds: float = 60) -> float:
        """Wait until it says `Exposed`; how many seconds after its start that was."""
        self.terminal.expect(r"Exposed [\w-]+/", seconds)
        return time.monotonic() - self.began

    def press_ctrl_c(self) -> None:
        """Type Ctrl-C."""
        self.terminal.send(CTRL_C)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end and return its exit code."""
        return self.terminal.wait(seconds)

    def end(self, seconds: float = 60) -> float:
        """Press Ctrl-C and wait until everything is back; how many seconds that took. It has to succeed."""
        began = time.monotonic()
        self.press_ctrl_c()
        assert self.wait(seconds) == 0, self.terminal.text
        assert "error:" not in self.terminal.text, self.terminal.text
        return time.monotonic() - began


class Client:
    """A pod that opens a new connection every 20 ms. `with Client(cluster, namespace, "web:80") as client:`

    Where there are several targets, it asks them in turn: that loads the machine as one does.
    Its log has a line for each attempt, so it goes on while this machine is cut off. Its clock is the monotonic one of
    its node, which is this machine's if the node is ours.
    """

    def __init__(self, cluster: Cluster, namespace: str, *targets: str, name: str = "client") -> None:
        self._cluster = cluster
        self._place = (name, f"--namespace={namespace}")
        words = ["/", str(PER_SECOND), str(PATIENCE_SECONDS), *targets]
        container = {"name": "client", "image": image(), "command": ["python3", "-c", CLIENT, *words], "stdin": True}
        spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        restricted({"spec": {"template": pod}})
        cluster.apply(namespace, pod)

    def __enter__(self) -> Client:
        wait_until("first answer in the cluster", lambda: any(not one.error for one in self.attempts()), 30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cluster.kubectl("delete", "pod", *self._place, "--wait=false")

    def attempts(self, since: float = 0.0, tail: int = -1) -> list[Attempt]:
        """The attempts that have ended, in the order in which they began.

        Args:
            since: leaves out those that began before that moment (the monotonic clock).
            tail: only that many, the ones that ended last; all if it is -1.
        """
        try:
            log = self._cluster.kubectl("logs", *self._place, f"--tail={tail}")
        except subprocess.CalledProcessError:  # it does not run yet
            return []
        found = sorted((Attempt(*json.loads(line)) for line in log.splitlines()), key=lambda one: one.began)
        return [one for one in found if one.began >= since]

    def settled_since(self, body: str) -> float | None:
        """The moment from which every answer is this one, as it looks now; None if the last one is another."""
        return settled_since(self.attempts(), body)

    def wait_settled(self, body: str, seconds: float = 30, answers: int = PER_SECOND) -> float:
        """Wait until so many answers on end are this one; the moment from which on every answer was."""

        def holds() -> bool:
            last = self.attempts(tail=answers)
            return len(last) == answers and all(one.body == body for one in last)

        wait_until(f"{answers} times the answer {body} on end", holds, seconds, every_seconds=0.3)
        moment = self.settled_since(body)
        assert moment is not None
        return moment

    def more(self, count: int, seconds: float = 30) -> list[Attempt]:
        """Wait until `count` more attempts have begun from now on and ended; return these."""
        now = time.monotonic()
        wait_until(f"{count} more attempts", lambda: len(self.attempts(now, tail=2 * count + 200)) >= count, seconds)
        return self.attempts(now)

    def all_begun_before(self, moment: float) -> list[Attempt]:
        """The attempts that began before a moment, once the last of them has ended, which may take its patience."""
        certainly = moment + PATIENCE_SECONDS + 1.0
        wait_until("the end of all attempts", lambda: bool(self.attempts(certainly, tail=PER_SECOND)), 60)
        return [one for one in self.attempts() if one.began < moment]


def settled_since(attempts: Sequence[Attempt], body: str) -> float | None:
    """The moment from which every attempt got this answer; None if the last one did not."""
    last = list(itertools.takewhile(lambda one: one.body == body, reversed(attempts)))
    return last[-1].began if last else None


def failed(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts that got no answer."""
    return [one for one in attempts if one.error]


def per_second(attempts: Sequence[Attempt]) -> float:
    """Attempts a second."""
    return (len(attempts) - 1) / (attempts[-1].began - attempts[0].began)


def longest_gap(attempts: Sequence[Attempt]) -> float:
    """The longest time without an answer, in seconds."""
    ends = sorted(one.ended for one in attempts if not one.error)
    return max((after - before for before, after in itertools.pairwise(ends)), default=0.0)


def summary(what: str, attempts: Sequence[Attempt]) -> str:
    """The figures in a line."""
    return (
        f"{what}: {len(attempts)} attempts ({per_second(attempts):.1f} a second), {len(failed(attempts))} failed,"
        f" longest gap {longest_gap(attempts):.2f} s"
    )


def cluster_address(cluster: Cluster, namespace: str, name: str, port: int = 80) -> str:
    """A Service's address and port in the cluster, as `10.96.0.7:80`."""
    return f"{cluster.get('service', name, f'--namespace={namespace}')['spec']['clusterIP']}:{port}"


def replicas(cluster: Cluster, namespace: str, workload: str) -> int:
    """What a workload (`deployment/web`) is scaled to."""
    count: int = cluster.get(workload, f"--namespace={namespace}")["spec"]["replicas"]
    return count


def leftovers(cluster: Cluster, namespace: str) -> list[str]:
    """What there is of ours in a namespace: `Pod localize-web-x7k2p` and the like."""
    items: list[dict[str, Any]] = cluster.get(KINDS, f"--selector={OURS}", f"--namespace={namespace}")["items"]
    return [f"{one['kind']} {one['metadata']['name']}" for one in items]


def check_nothing_left(cluster: Cluster, namespace: str) -> None:
    """What the product deletes is gone at once; the garbage collector then takes a moment for what the Secret owned."""
    assert not [left for left in leftovers(cluster, namespace) if left.startswith(DELETED_BY_US)]
    wait_until("end of what the Secret owned", lambda: not leftovers(cluster, namespace), 20)


def steps(text: str) -> list[tuple[str, float]]:
    """The steps that the command has shown, each with the seconds that it took."""
    return [
        (what, float(seconds)) for what, seconds in re.findall(r"^(?:.*\r)?✓ (.*) \(([\d.]+) s\)$", text, re.MULTILINE)
    ]


def become(cluster: Cluster, sandbox: Sandbox, user: str, namespace: str, *groups: str) -> None:
    """Make the sandbox's user somebody else for the cluster, by a client certificate, with a namespace as default."""
    path = sandbox.root / "other.kubeconfig"
    name = f"{user}-{namespace}"
    cluster.node.client_kubeconfig(path, user, groups, name)
    config = json.loads(path.read_text())
    config["contexts"][0]["context"]["namespace"] = namespace
    sandbox.use(json.dumps(config))


def grant(cluster: Cluster, namespace: str) -> None:
    """Give the group `developers` what docs/rbac.yaml gives them, in a namespace."""
    cluster.kubectl("apply", "-f", "-", stdin=RBAC.read_text().replace("namespace: shop", f"namespace: {namespace}"))
