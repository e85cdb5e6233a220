"""Exposures that are cut short: everything of ours killed at a call that changes something, or at any moment."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import DELETED_BY_US, OURS, leftovers
from tests.real.manifests import Manifest, deployment, image, service
from tests.real.product import Done
from tests.real.sandbox import Sandbox

WORKLOAD = "deployment/web"
REPLICAS = 2
SECONDS = 100.0  # for anything that takes a few on a machine that does nothing else
BEFORE, AFTER = "before", "after"
PASS_THROUGH = Path(__file__).with_name("pass_through.py")
VERBS = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class PassThrough:
    """A directory for the PATH with a kubectl whose `proxy` stops at one request that changes something.

    Args:
        stop_at: at which one, from 1 on; 0: at none.
        when: `before` or `after` it has been done.
        method: only requests of this HTTP method count; empty: all.
    """

    sandbox: Sandbox
    stop_at: int = 0
    when: str = BEFORE
    method: str = ""
    directory: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "directory", self.sandbox.home / f"kubectl-{uuid.uuid4().hex[:8]}")
        for directory in (self.directory, self._calls):
            directory.mkdir()
            self.sandbox.give(directory)
        settings = {
            "real": str(self.sandbox.environment.kubectl),
            "calls": str(self._calls),
            "stop_at": self.stop_at,
            "when": self.when,
            "method": self.method,
        }
        script = self.directory / "kubectl"
        script.write_text(f"#!/usr/bin/python3\nSETTINGS = {settings!r}\n{PASS_THROUGH.read_text()}")
        script.chmod(0o755)

    @property
    def _calls(self) -> Path:
        return self.directory / "calls"

    @property
    def env(self) -> dict[str, str]:
        """What a command needs to use it."""
        return {"PATH": f"{self.directory}:{self.sandbox.env['PATH']}"}

    @property
    def reached(self) -> bool:
        """Whether it stands at its call."""
        return (self._calls / "reached").exists()

    def calls(self) -> list[str]:
        """The calls so far, as `replace deployments/web/scale`."""
        numbers = sorted(int(path.name) for path in self._calls.iterdir() if (path / "call").exists())
        return [_describe((self._calls / str(number) / "call").read_text()) for number in numbers]


def _describe(call: str) -> str:
    """The verb, and the last parts of the path without random names."""
    method, target = call.split()
    parts = target.partition("?")[0].split("/")
    kind_and_name = parts[parts.index("namespaces") + 2 :]
    return f"{VERBS[method]} {'/'.join(part for part in kind_and_name if not part.startswith('localize-'))}"


class Run:
    """`kubectl localize …` that nobody looks after. `with Run(sandbox, "restore", env={…}) as run:`"""

    def __init__(self, sandbox: Sandbox, *argv: str, env: Mapping[str, str] | None = None) -> None:
        self._said = sandbox.root / f"said-{uuid.uuid4().hex[:8]}"
        with open(self._said, "w") as said:
            self._process = sandbox.spawn("kubectl", "localize", *argv, env=env, stdout=said)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def said(self) -> str:
        """Everything that it has said."""
        return self._said.read_text()

    @property
    def live(self) -> bool:
        """Whether it has said `Exposed`."""
        return "\nExposed " in self.said

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def interrupt(self) -> None:
        """What Ctrl-C sends."""
        self._process.send_signal(signal.SIGINT)

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Wait for something, with what it said in the error."""
        try:
            wait_until(what, condition, seconds, every_seconds=0.02)
        except Exception as error:
            error.add_note(self.said)
            raise

    def wait_over(self) -> int:
        """Wait for its end; the exit code."""
        self.wait(lambda: self.over, "end")
        return self._process.wait()

    def wait_live(self) -> None:
        """Wait until it is exposed."""
        self.wait(lambda: self.live or self.over, "exposure")
        assert self.live, self.said

    def there_and_back(self, stop: Callable[[], bool]) -> bool:
        """Let it come up and press Ctrl-C; whether it was stopped (`stop`) before it ended by itself."""
        self.wait(lambda: self.live or self.over or stop(), "exposure")
        if not stop():
            assert self.live, self.said
            self.interrupt()
            self.wait(lambda: self.over or stop(), "way back")
        return stop()


def expose(sandbox: Sandbox, service: str, port: str, *argv: str, env: Mapping[str, str] | None = None) -> Run:
    """Begin to expose a Service (`ns/svc`) by the process at a local port."""
    return Run(sandbox, "expose", "--image", image(), "--map", port, *argv, service, env=env)


def kill_everything(sandbox: Sandbox) -> None:
    """SIGKILL to all that runs in the sandbox, until nothing does."""

    def gone() -> bool:
        left = sandbox.processes()
        sandbox.kill_all(left)
        return not left

    wait_until("end of everything of ours", gone, 10, every_seconds=0.005)


def restore(sandbox: Sandbox, *flags: str) -> Done:
    """`kubectl localize restore`, which has to succeed."""
    done = sandbox.localize("restore", *flags, timeout=150)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def untidiness(cluster: Cluster, sandbox: Sandbox, namespace: str, replicas: int = REPLICAS) -> list[str]:
    """What is not as it was before: in the namespace, and in the user's directory."""
    found = cluster.get(WORKLOAD, f"--namespace={namespace}")
    count, ready = found["spec"]["replicas"], found["status"].get("readyReplicas", 0)
    left = leftovers(cluster, namespace)
    left += [path.name for path in kept(sandbox)]
    return [*left, *([] if (count, ready) == (replicas, replicas) else [f"{ready} of {count} Ready"])]


def kept(sandbox: Sandbox) -> list[Path]:
    """What is left of exposures in the user's directory: keys, and the record of what was begun."""
    root = sandbox.home / ".kube" / "localize"
    return [path for name in ("ssh-*", "host-*", "known-*", "exposures.json") for path in root.glob(f"*/{name}")]


def wait_tidy(cluster: Cluster, sandbox: Sandbox, namespace: str, replicas: int = REPLICAS) -> None:
    """Wait until all is as it was before; the garbage collector takes a moment for what the Secret owned."""
    left: list[str] = []

    def tidy() -> bool:
        left[:] = untidiness(cluster, sandbox, namespace, replicas)
        return not left

    try:
        wait_until("state as before", tidy, SECONDS, every_seconds=0.3)
    except Exception as error:
        error.add_note(f"left: {left}")
        raise


def open_web(cluster: Cluster, namespace: str) -> str:
    """A Service with two pods, as `ns/web`."""
    cluster.apply(namespace, deployment("web", replicas=REPLICAS), service("web"))
    cluster.wait_ready(namespace, WORKLOAD)
    return f"{namespace}/web"


@contextlib.contextmanager
def open_port() -> Iterator[str]:
    """The port of a local process that is not killed with everything of ours; nobody asks it anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def at_once(cluster: Cluster, namespace: str) -> tuple[int, list[str]]:
    """The replicas and what is left, as they have to be the moment that a command says it is done.

    The garbage collector's part, what the Secret owned, is left out.
    """
    count = cluster.get(WORKLOAD, f"--namespace={namespace}")["spec"]["replicas"]
    return count, [one for one in leftovers(cluster, namespace) if one.startswith(DELETED_BY_US)]


def journal_of(cluster: Cluster, namespace: str) -> Manifest:
    """The only journal in a namespace, a Lease."""
    (lease,) = cluster.get("leases", f"--namespace={namespace}", f"--selector={OURS}")["items"]
    found: Manifest = lease
    return found


def colleagues(lease: Manifest) -> Manifest:
    """The same journal as a colleague on another machine would have written it, for another workload."""
    text = lease["metadata"]["annotations"]["kubectl-localize/journal"]
    content = json.loads(text)
    content["session"] = "zzzzzz"
    content["owner"] |= {"user": "bob", "login": "bob@elsewhere", "machine": "0123456789abcdef"}
    content["workload"]["name"] = "other"
    content["services"] = [f"{lease['metadata']['namespace']}/other"]
    metadata = {
        "name": "localize-deployment-other",
        "namespace": lease["metadata"]["namespace"],
        "labels": {**lease["metadata"]["labels"], "kubectl-localize/session": "zzzzzz"},
        "annotations": {"kubectl-localize/journal": json.dumps(content)},
    }
    return {**lease, "metadata": metadata, "spec": {**lease["spec"], "holderIdentity": "bob (bob@elsewhere)"}}
