"""A laptop for one test: an ordinary user with an /etc, a HOME and a /tmp of its own, on this machine's network.

As root it is a mount namespace and a user number that the machine's passwd does not know, and sudo is the real one.
Elsewhere it is a user namespace, in which there is no sudo: tests that need it are marked `sudo`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.cluster.commands import run, wait_until
from tests.environment import Environment
from tests.real.terminal import Terminal

FIRST_UID = 64000
PASSWORD = "localize"
MEMORY = "/dev/shm"
HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t{host}\n\n# a person's own line\n127.0.0.1 mine.example\n"
# sudo's own notes stay in the sandbox; use_pty is the default of newer versions and the harder case.
SUDOERS = """Defaults env_reset, use_pty, !syslog, lecture=never
Defaults timestampdir=/etc/.sudo/ts, lecture_status_dir=/etc/.sudo/lectured
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
{rule}
"""
SUDO_RULES = {
    "nopasswd": "{user} ALL=(ALL:ALL) NOPASSWD: ALL",
    "password": "{user} ALL=(ALL:ALL) ALL",
    "none": "",
}


@contextlib.contextmanager
def free_uid() -> Iterator[int]:
    """A user number that no other test on this machine uses at the same time."""
    for uid in range(FIRST_UID, FIRST_UID + 200):
        path = Path(tempfile.gettempdir()) / f"localize-uid-{uid}"
        try:
            lock = open(path, "w")  # noqa: SIM115
        except PermissionError:  # another user's
            continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if os.fstat(lock.fileno()).st_nlink == 0:  # its last holder just deleted it
                continue
            try:
                yield uid
            finally:
                path.unlink(missing_ok=True)
            return
    raise LookupError("no free user number")


@dataclass(frozen=True)
class Leftover:
    """A process that outlived its test."""

    pid: int
    command: str


class Sandbox:
    """The user, and what it can be told to do. Make it with open_sandbox()."""

    def __init__(self, root: Path, uid: int, environment: Environment) -> None:
        self.root = root
        self.uid = uid
        self.user = f"lz{uid}"
        self.home = root / "home"
        self.etc = root / "etc"
        self.environment = environment
        self.directories = list(environment.directories)  # what goes first in the PATH: another product, for some tests
        self.real_root = os.geteuid() == 0
        self._holder = subprocess.Popen(self._hold(), stdin=subprocess.DEVNULL)
        wait_until("mount namespace", lambda: self._command() == "sleep", 10, every_seconds=0.01)
        self._namespace = os.readlink(f"/proc/{self._holder.pid}/ns/mnt")

    # What is where ---------------------------------------------------------------

    @property
    def hosts(self) -> Path:
        """The sandbox's hosts file, as this process sees it."""
        return self.etc / "hosts"

    @property
    def kubeconfig(self) -> Path:
        """The user's kubeconfig."""
        return self.home / ".kube" / "config"

    @property
    def env(self) -> dict[str, str]:
        """What every command starts with."""
        directories = [*map(str, self.directories), "/usr/local/bin", "/usr/bin", "/bin"]
        return {
            "HOME": str(self.home),
            "USER": self.user,
            "LOGNAME": self.user,
            "PATH": ":".join(directories),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "KUBERC": "off",
            "KUBECTL_KUBERC": "false",
        }

    # Doing things as the user ---------------------------------------------------------

    def argv(self, *argv: str, env: Mapping[str, str] | None = None) -> list[str]:
        """The command that runs argv as the user, in its home; env is added to what every command starts with."""
        words = [f"{name}={value}" for name, value in {**self.env, **(env or {})}.items()]
        return [*self._enter(), *self._become(), "env", f"--chdir={self.home}", "-i", *words, *argv]

    def run(
        self, *argv: str, env: Mapping[str, str] | None = None, stdin: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit code; without stdin it gets an empty one."""
        return subprocess.run(
            self.argv(*argv, env=env), input=stdin or "", text=True, capture_output=True, timeout=timeout, check=False
        )

    def localize(
        self, *argv: str, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run `kubectl localize …`."""
        return self.run("kubectl", "localize", *argv, env=env, timeout=timeout)

    def kubectl(self, *argv: str, timeout: float = 60) -> str:
        """Run kubectl as the user and return its stdout; AssertionError with its stderr when it fails."""
        done = self.run("kubectl", *argv, timeout=timeout)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def spawn(
        self, *argv: str, env: Mapping[str, str] | None = None, stdout: int | IO[str] = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start a command in a session of its own and return it; stderr goes where stdout goes."""
        return subprocess.Popen(
            self.argv(*argv, env=env),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pty(self, *argv: str, env: Mapping[str, str] | None = None, columns: int = 120) -> Terminal:
        """Start a command in a terminal of its own. Close it when done."""
        return Terminal(self.argv(*argv, env=env), os.environ, columns)

    def python(self, code: str, *argv: str, timeout: float = 60) -> str:
        """Run Python code as the user and return its stdout, stripped; AssertionError with its stderr when it fails."""
        done = self.run("/usr/bin/python3", "-c", code, *argv, timeout=timeout)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def fetch(self, url: str, timeout: float = 30) -> str:
        """GET a URL by its name as the user sees it, and return the answer; AssertionError when there is none."""
        code = (
            "import sys, urllib.request as u\n"
            "print(u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=float(sys.argv[2])).read().decode())"
        )
        return self.python(code, url, str(timeout), timeout=timeout + 10)

    def resolve(self, name: str) -> list[str]:
        """The IPv4 addresses of a name as the user's programs see them; none when it is unknown."""
        code = (
            "import socket, sys\n"
            "try: print(*{a[4][0] for a in socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET, socket.SOCK_STREAM)})\n"
            "except socket.gaierror: pass"
        )
        return sorted(self.python(code, name).split())

    def use(self, kubeconfig: Path | str) -> None:
        """Make a kubeconfig (a file, or its text) the user's own."""
        text = kubeconfig if isinstance(kubeconfig, str) else kubeconfig.read_text()
        self.kubeconfig.parent.mkdir(mode=0o700, exist_ok=True)
        self.kubeconfig.write_text(text)
        self.kubeconfig.chmod(0o600)
        self.give(self.kubeconfig.parent)
        self.give(self.kubeconfig)

    def give(self, path: Path) -> None:
        """Make a file or directory the user's."""
        if self.real_root:
            os.chown(path, self.uid, self.uid)

    def bind(self, source: Path, target: str) -> None:
        """Bind-mount a file or directory over another one, in the sandbox only."""
        self.mount("--bind", str(source), target)

    def mount(self, *argv: str) -> None:
        """Mount something in the sandbox only."""
        run(*self._enter(), "mount", *argv)

    # Its processes --------------------------------------------------------------------

    def processes(self) -> list[Leftover]:
        """Everything that runs in the sandbox, root's helpers included, but for what holds it open."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "ns/mnt") != self._namespace or int(entry.name) == self._holder.pid:
                    continue
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if command:  # a zombie has none
                found.append(Leftover(int(entry.name), command))
        return found

    def kill_all(self, processes: list[Leftover]) -> None:
        """Kill what is left, for the next test's sake."""
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Let the namespace go; its mounts go with it."""
        self._holder.kill()
        self._holder.wait()

    # How ---------------------------------------------------------------------------------

    def mount_all(self) -> None:
        """Put the private /etc and /tmp into place."""
        self.bind(self.etc, "/etc")
        self.bind(self.root / "tmp", "/tmp")

    def inside(self, *argv: str) -> list[str]:
        """A command that runs there as root."""
        return [*self._enter(), *argv]

    def _hold(self) -> list[str]:
        """What makes the namespaces and keeps them."""
        namespaces = ["--mount", "--propagation=private"]
        if not self.real_root:
            namespaces = ["--user", "--map-root-user", *namespaces]
        return ["unshare", *namespaces, "--", "sleep", "infinity"]

    def _command(self) -> str:
        try:
            return Path(f"/proc/{self._holder.pid}/comm").read_text().strip()
        except OSError:
            return ""

    def _enter(self) -> list[str]:
        namespaces = ["--mount"] if self.real_root else ["--user", "--preserve-credentials", "--mount"]
        return ["nsenter", f"--target={self._holder.pid}", *namespaces, "--"]

    def _become(self) -> list[str]:
        if self.real_root:
            return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--"]
        return ["unshare", "--user", f"--map-user={self.uid}", f"--map-group={self.uid}", "--"]


def _write_etc(sandbox: Sandbox, sudo: str) -> None:
    """Copy /etc and add the user to it."""
    subprocess.run(
        ["cp", "-a", "/etc/.", f"{sandbox.etc}/."], capture_output=True, check=False
    )  # not all may be readable
    user, uid = sandbox.user, sandbox.uid
    lines = {
        "passwd": f"{user}:x:{uid}:{uid}::{sandbox.home}:/bin/sh\n",
        "group": f"{user}:x:{uid}:\n",
        "shadow": f"{user}:{run('openssl', 'passwd', '-6', PASSWORD).strip()}:19000:0:99999:7:::\n",
    }
    for name, line in lines.items():
        if os.access(sandbox.etc / name, os.W_OK):
            with open(sandbox.etc / name, "a") as file:
                file.write(line)
    _replace(sandbox.hosts, HOSTS.format(host=os.uname().nodename), 0o644)
    _replace(sandbox.etc / "nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n", 0o644)
    # No lookup of a Service's name is to leave the machine; nobody answers there.
    _replace(sandbox.etc / "resolv.conf", "nameserver 127.255.255.254\noptions timeout:1 attempts:1\n", 0o644)
    shutil.rmtree(sandbox.etc / "sudoers.d", ignore_errors=True)
    rule = SUDO_RULES[sudo].format(user=user)
    _replace(sandbox.etc / "sudoers", SUDOERS.format(rule=rule), 0o440)


def _replace(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


@contextlib.contextmanager
def open_sandbox(sudo: str = "nopasswd") -> Iterator[Sandbox]:
    """A sandbox for one test. sudo: `nopasswd`, `password` (PASSWORD is it) or `none` (the user may not)."""
    with contextlib.ExitStack() as stack:
        uid = stack.enter_context(free_uid()) if os.geteuid() == 0 else os.getuid()
        # Not below /tmp, which the sandbox replaces; and short, for the sake of Unix sockets' names.
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lz-", dir="/var/tmp")))
        root.chmod(0o755)
        if os.access(MEMORY, os.W_OK):  # there a copy of /etc takes a twentieth of the time
            (root / "etc").symlink_to(stack.enter_context(tempfile.TemporaryDirectory(prefix="lz-", dir=MEMORY)))
        for name, mode in (("home", 0o700), ("etc", 0o755), ("tmp", 0o1777)):
            (root / name).mkdir(exist_ok=True)
            (root / name).chmod(mode)
        sandbox = Sandbox(root, uid, Environment.of_checkout())
        stack.callback(sandbox.end)
        sandbox.give(sandbox.home)
        _write_etc(sandbox, sudo)
        sandbox.mount_all()
        yield sandbox
