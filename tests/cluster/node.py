"""One node: its life, the link to it, and what tests do to it.

All that a node is lives in a PID, a mount and a network namespace of its own, held by one process (init.py). The
machine plays the laptop: it reaches the API server over a veth pair and nothing else in the cluster, so a tool under
test has no way round the tunnel that it is supposed to build.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tests.cluster import cgroups, parts
from tests.cluster.certificates import Authority
from tests.cluster.commands import ClusterError, run, succeeds, wait_until, without_proxy_for
from tests.cluster.images import SYSTEM_PYTHON, toolbox
from tests.cluster.paths import HERE, NODES, Cache
from tests.cluster.processes import Process, running


@dataclass(frozen=True)
class Record:
    """What has to be known to take a node down again, also one whose maker was killed."""

    boot: str
    pid: int
    started: int
    octet: int
    controllers: list[str]


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Node:
    """A node by its name; several may run side by side. Every verb needs root."""

    def __init__(self, name: str, cache: Cache) -> None:
        if not name.isalnum() or len(name) > 10:
            raise ClusterError(f"a node's name is at most 10 letters and digits, not {name!r}")
        self.name = name
        self.cache = cache
        self.state = NODES / name
        self.group = f"localize-{name}"
        self.veth = f"lz-{name}"
        self.authority = Authority(self.state / "pki")

    # What is where ---------------------------------------------------------

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "admin.kubeconfig"

    @property
    def record(self) -> Record | None:
        """What an earlier `up` wrote down, if it got so far."""
        try:
            return Record(**json.loads((self.state / "node.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def _init_argv(self) -> list[str]:
        namespaces = ["--mount", "--pid", "--net", "--propagation=private", "--mount-proc", "--fork", "--kill-child"]
        return ["unshare", *namespaces, "--", str(SYSTEM_PYTHON), "-I", str(HERE / "init.py"), str(self.state)]

    @property
    def _holder(self) -> Process | None:
        """The process outside that has the namespaces' first one as its child."""
        record = self.record
        if record is None or record.pid == 0 or record.boot != _boot():
            return None
        process = Process(record.pid, record.started)
        return process if process.alive else None

    @property
    def init(self) -> Process:
        """The first process of the namespaces, by its number outside; ClusterError when the node is not up."""
        holder = self._holder
        init = holder.child() if holder else None
        if init is None:
            raise ClusterError(f"node {self.name} is not up")
        return init

    @property
    def is_up(self) -> bool:
        """Whether the node runs and its API server answers."""
        return self._holder is not None and self._answers()

    @property
    def ip(self) -> str:
        """The node's address, where its API server listens."""
        record = self.record
        if record is None:
            raise ClusterError(f"node {self.name} is not up")
        return f"10.{record.octet}.0.2"

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.ip}:6443"

    @property
    def _layout(self) -> parts.Layout:
        return parts.Layout(self.state, self.cache.packages, self.cache.hyperkube, self.ip, f"/{self.group}")

    # Its life ----------------------------------------------------------------

    def up(self) -> Path:
        """Start the node if it is not up, removing what an earlier one left; returns its kubeconfig's path."""
        if self.is_up:
            return self.kubeconfig
        if not self.cache.hyperkube.exists():
            raise ClusterError(f"no {self.cache.hyperkube}: `make cluster` builds it")
        self.down()
        self.state.mkdir(parents=True)
        NODES.chmod(0o755)
        try:
            self._start()
        except BaseException:
            self._keep_logs()
            self.down()
            raise
        return self.kubeconfig

    def _start(self) -> None:
        # Written before anything is done, so that it can be undone by whoever comes after a kill in between.
        plan = Record(_boot(), 0, 0, self._free_octet(), cgroups.to_enable())
        self._write(plan)
        cgroups.create(self.group, plan.controllers)
        self._start_init(plan)
        self._connect()
        self._certify()
        parts.write_files(self._layout)
        argv = parts.commands(self._layout)
        for name in ("containerd", "etcd", "kube-apiserver"):
            self._ask(op="start", name=name, argv=argv[name])
        wait_until("containerd", lambda: succeeds(*self.inside_argv(), *self._ctr(), "version"))
        archive = self.state / "toolbox.tar"
        toolbox(self.cache, archive)
        self.load(archive)
        archive.unlink()
        wait_until("API server", self._answers, 120)
        for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns"):
            self._ask(op="start", name=name, argv=argv[name])
        self.kubectl("apply", "-f", "-", stdin=parts.dns_objects(self.ip))
        wait_until("Ready node", self._is_ready, 120)

    def _write(self, record: Record) -> None:
        (self.state / "node.json").write_text(json.dumps(asdict(record)))

    def _start_init(self, plan: Record) -> None:
        """Make the namespaces and write down whose they are."""
        # Nothing personal of the developer's: an HTTP_PROXY would lead the parts to one another through a proxy.
        path, temporary = f"{os.defpath}:/usr/sbin:/sbin", self.state / "tmp"
        temporary.mkdir()
        environment = {"PATH": path, "HOME": str(Path.home()), "LANG": "C.UTF-8", "TMPDIR": str(temporary)}
        with open(self.state / "init.log", "ab") as log:
            holder = subprocess.Popen(
                self._init_argv,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = Process.of(holder.pid)
        if process is None:
            raise ClusterError(f"unshare ended at once: {(self.state / 'init.log').read_text()}")
        self._write(replace(plan, pid=process.pid, started=process.started))
        wait_until("node's first process", lambda: (self.state / "init.sock").exists() or holder.poll() is not None, 10)
        if holder.poll() is not None:
            raise ClusterError(f"the node's first process ended: {(self.state / 'init.log').read_text()}")
        holder.returncode = 0  # it lives on without us: Popen is not to warn of that

    def _free_octet(self) -> int:
        """The second number of a 10.x.0.0/24 that this machine does not use."""
        used = run("ip", "-4", "route", "show", "table", "all") + run("ip", "-o", "-4", "address")
        first = zlib.crc32(self.name.encode()) % 100
        for step in range(100):
            octet = 100 + (first + step) % 100
            if f"10.{octet}." not in used:
                return octet
        raise ClusterError("no free network among 10.100.0.0 to 10.199.0.0")

    def _connect(self) -> None:
        """Lay the link between machine and node. The network namespace takes it along when it ends."""
        network = self.ip.rpartition(".")[0]
        peer = ("peer", "name", "eth0", "netns", str(self.init.pid))
        run("ip", "link", "add", self.veth, "type", "veth", *peer)
        run("ip", "address", "add", f"{network}.1/24", "dev", self.veth)
        run("ip", "link", "set", self.veth, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{self.ip}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("route", "add", "default", "via", f"{network}.1"),
        ):
            self.inside("ip", *words)
        self.inside("/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def _certify(self) -> None:
        pki = self.authority.directory
        pki.mkdir(mode=0o700)
        self.authority.create()
        names = ("DNS:localhost", "DNS:kubernetes.default.svc", "IP:127.0.0.1", f"IP:{parts.FIRST_SERVICE}")
        self.authority.issue("apiserver", "kube-apiserver", alternatives=(*names, f"IP:{self.ip}"))
        self.authority.issue("admin", "admin", groups=("system:masters",))
        node = ("DNS:node", f"IP:{self.ip}")
        self.authority.issue("kubelet", "system:node:node", groups=("system:nodes",), alternatives=node)
        for file in pki.iterdir():
            (self.state / file.name).symlink_to(file)
        self.authority.write_kubeconfig("kubelet", self.server, self.name, self.state / "kubelet.kubeconfig")
        self.authority.write_kubeconfig("admin", self.server, self.name, self.kubeconfig)
        if "SUDO_UID" in os.environ:  # whoever ran sudo is to use the cluster
            os.chown(self.kubeconfig, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))

    def down(self) -> None:
        """Take the node away, with every trace; nothing happens if there is none."""
        record = self.record
        holder = self._holder
        for process in ([holder] if holder else []) + running(self._init_argv):
            init = process.child()
            if init is not None:
                init.kill()  # the kernel ends all of its PID namespace before it is gone
            process.kill()
            with contextlib.suppress(ChildProcessError):  # it may be another process's child, or nobody's
                os.waitpid(process.pid, 0)
        wait_until(f"end of {self.veth}", lambda: not Path(f"/sys/class/net/{self.veth}").exists(), 20)
        cgroups.remove(self.group, record.controllers if record else [])
        if self.state.exists():
            shutil.rmtree(self.state)
        if NODES.exists() and not any(NODES.iterdir()):
            NODES.rmdir()

    def _keep_logs(self) -> None:
        """Put what the parts said last where a person sees it: the state is about to go."""
        for log in sorted(self.state.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-5:]
            print(f"--- {log.name}", *lines, sep="\n")

    # What tests do to it -------------------------------------------------------

    def kubectl(self, *argv: str, stdin: str | None = None, timeout_seconds: float = 60) -> str:
        """Run the cluster's own kubectl as administrator and return what it prints."""
        command = [str(self.cache.hyperkube), "kubectl", f"--kubeconfig={self.kubeconfig}", *argv]
        environment = {
            **os.environ,
            **without_proxy_for(self.ip),
            "KUBERC": "off",
            "KUBECTL_KUBERC": "false",
            "KUBECACHEDIR": str(self.state / "kubectl-cache"),  # or it would be in the user's ~/.kube
        }
        return run(*command, stdin=stdin, env=environment, timeout_seconds=timeout_seconds)

    def inside_argv(self) -> list[str]:
        """The words that, put before a command, run it as root in the node's namespaces."""
        return ["nsenter", f"--target={self.init.pid}", "--mount", "--net", "--pid", "--"]

    def inside(self, *argv: str, timeout_seconds: float = 60) -> str:
        """Run a command on the node, which reaches pods and Services by their addresses, and return what it prints."""
        return run(*self.inside_argv(), *argv, timeout_seconds=timeout_seconds)

    def load(self, archive: Path) -> None:
        """Bring an OCI image archive onto the node."""
        self.inside(*self._ctr(), "-n", "k8s.io", "images", "import", str(archive))

    def sever(self) -> None:
        """Silence the link: from now on every packet between machine and node is dropped, both ways.

        The rules are the node's own: the machine's firewall is left alone, and they go when the node goes.
        """
        self.mend()
        for chain, direction in (("INPUT", "-i"), ("OUTPUT", "-o")):
            self.inside("iptables", "-w", "-I", chain, direction, "eth0", "-j", "DROP")

    def mend(self) -> None:
        """Let packets through again; nothing happens if the link is whole."""
        for chain, direction in (("INPUT", "-i"), ("OUTPUT", "-o")):
            rule = (chain, direction, "eth0", "-j", "DROP")
            while succeeds(*self.inside_argv(), "iptables", "-w", "-C", *rule):
                self.inside("iptables", "-w", "-D", *rule)

    def stop_part(self, name: str, grace_seconds: float = 10) -> None:
        """Stop a part, for example `kube-apiserver`."""
        self._ask(op="stop", name=name, grace_seconds=grace_seconds)

    def start_part(self, name: str) -> None:
        """Start a part that was stopped."""
        self._ask(op="start", name=name, argv=parts.commands(self._layout)[name])

    def restart_apiserver(self, down_seconds_at_most: float = 2) -> None:
        """Replace the API server's process by a new one on the same data, and wait until it answers.

        Controller manager and scheduler are started anew as well: after each time that the API server was away they
        wait longer before they look again (client-go's backoff, more than a minute after a few times).
        """
        self.stop_part("kube-apiserver", down_seconds_at_most)
        self.start_part("kube-apiserver")
        wait_until("API server", self._answers, 60)
        for part in ("kube-controller-manager", "kube-scheduler"):
            self.stop_part(part)
            self.start_part(part)

    def client_kubeconfig(self, path: Path, user: str, groups: tuple[str, ...] = (), context: str = "") -> None:
        """Write a kubeconfig for a user of the cluster, who has the rights that RBAC gives them and no more."""
        name = f"client-{zlib.crc32(repr((user, groups)).encode())}"
        if not (self.authority.directory / f"{name}.crt").exists():
            self.authority.issue(name, user, groups)
        self.authority.write_kubeconfig(name, self.server, context or self.name, path)

    # Small things -------------------------------------------------------------

    def _ask(self, **request: Any) -> dict[str, Any]:
        """Have the node's first process do something."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)
            connection.connect(str(self.state / "init.sock"))
            with connection.makefile("rw") as stream:
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer: dict[str, Any] = json.loads(stream.readline())
        if not answer["ok"]:
            raise ClusterError(f"node {self.name}: {answer['error']}")
        return answer

    def _ctr(self) -> list[str]:
        return [str(self.cache.find("ctr")), "-a", str(self.state / "containerd.sock")]

    def _answers(self) -> bool:
        try:
            return "ok" in self.kubectl("get", "--raw=/readyz", "--request-timeout=5s", timeout_seconds=10)
        except ClusterError:
            return False

    def _is_ready(self) -> bool:
        try:
            ready = " Ready" in self.kubectl("get", "node", "node", "--no-headers")
            return ready and "default" in self.kubectl("get", "sa", "-n=default", "-o=name")
        except ClusterError:
            return False
