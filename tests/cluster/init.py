"""The first process of a node's namespaces: starts its parts, reaps what is orphaned, takes all with it when it ends.

Run by `unshare` with a PID, mount and network namespace of its own, as `python3 -I init.py STATE`. It takes one JSON
object a line on STATE/init.sock and answers each with one: {"op": "start", "name", "argv"}, {"op": "stop", "name",
"grace_seconds"}, {"op": "list"}. The kernel kills every process of the PID namespace when this one ends, so one
SIGKILL is all that it takes to end a node.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# What the kubelet would set for the whole machine; the node sees copies in their place.
MACHINE_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


class Init:
    """The parts by name, and the verbs on them."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.parts: dict[str, int] = {}

    def start(self, name: str, argv: list[str]) -> dict[str, Any]:
        """Start a part with its output in NAME.log; a part that runs already is left alone."""
        if name in self.parts:
            return {"ok": True}
        with open(self.state / f"{name}.log", "ab") as log:
            child = subprocess.Popen(
                argv, cwd=self.state, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        child.returncode = 0  # reaped here, with the orphans; Popen must not wait for it
        self.parts[name] = child.pid
        return {"ok": True}

    def stop(self, name: str, grace_seconds: float) -> dict[str, Any]:
        """End a part: TERM, then KILL after the grace."""
        if name not in self.parts:
            return {"ok": True}
        os.kill(self.parts[name], signal.SIGTERM)
        kill_at = time.monotonic() + grace_seconds
        while name in self.parts:
            if time.monotonic() > kill_at:
                os.kill(self.parts[name], signal.SIGKILL)
                kill_at = float("inf")
            time.sleep(0.02)
            self.reap()
        return {"ok": True}

    def reap(self) -> None:
        """Collect every ended child, ours or inherited."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for name in [name for name, part in self.parts.items() if part == pid]:
                del self.parts[name]

    def answer(self, line: str) -> dict[str, Any]:
        """Carry out one request; what fails is an answer, too."""
        try:
            request = json.loads(line)
            if request["op"] == "start":
                return self.start(request["name"], request["argv"])
            if request["op"] == "stop":
                return self.stop(request["name"], request["grace_seconds"])
            self.reap()
            return {"ok": True, "parts": sorted(self.parts)}
        except (OSError, ValueError, KeyError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    def serve(self) -> None:
        """Answer requests until the namespace is killed."""
        address = self.state / "init.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(address) + ".new")
            listener.listen(8)
            os.rename(str(address) + ".new", address)  # whoever sees it may connect
            listener.settimeout(1)  # orphans are reaped once a second
            while True:
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    self.reap()
                    continue
                with connection, connection.makefile("rw") as stream:
                    connection.settimeout(5)
                    try:
                        for line in stream:
                            stream.write(json.dumps(self.answer(line)) + "\n")
                            stream.flush()
                    except OSError:
                        continue


def mount(*argv: str) -> None:
    """Mount something, or end with mount's own message."""
    subprocess.run(["mount", *argv], check=True)


def private_files(state: Path) -> None:
    """Give the node its own /run, /var/log, /var/lib and machine-wide sysctls: what it writes goes when it goes."""
    mount("--make-rshared", "/")  # between the node's own processes only; the machine is not a peer
    for directory in ("upper", "work"):
        (state / "varlib" / directory).mkdir(parents=True)
    layers = f"lowerdir=/var/lib,upperdir={state}/varlib/upper,workdir={state}/varlib/work"
    mount("-t", "overlay", "localize-varlib", "-o", layers, "/var/lib")
    mount("-t", "tmpfs", "localize-run", "-o", "mode=755", "/run")
    mount("-t", "tmpfs", "localize-log", "-o", "mode=755", "/var/log")
    for name in MACHINE_SYSCTLS:
        real = Path("/proc/sys") / name
        if real.exists():
            copy = state / "sysctl" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(real.read_text())
            mount("--bind", str(copy), str(real))


def main() -> None:
    """Prepare the namespaces and serve."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.umask(0o022)
    state = Path(sys.argv[1])
    private_files(state)
    Init(state).serve()


if __name__ == "__main__":
    main()
