"""The command that starts a helper.

Commands build it while somebody waits, so it needs nothing but this: no event loop, and not the helper's own code.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

INSTALLED_HELPER = Path("/usr/local/libexec/kubectl-localize/helper.py")
PACKAGED_HELPER = Path(__file__).with_name("helper.py")
SYSTEM_PYTHON = Path("/usr/bin/python3")
PROMPT = "kubectl localize asks for %p's password, to write names to the hosts file and to bind ports below 1024: "


def helper_argv(
    *,
    socket: Path,
    uid: int,
    key: str,
    hosts_file: str,
    ip_range: str,
    use_sudo: bool,
    interactive: bool,
    installed: Path = INSTALLED_HELPER,
    system_python: Path = SYSTEM_PYTHON,
) -> list[str]:
    """Return the command that starts the helper; it ends with 0 once the helper is connected.

    Args:
        socket: the one that the `HelperServer` listens on.
        uid: the supervisor's.
        key: the context's key.
        hosts_file: the file that holds the managed block.
        ip_range: the network that addresses come from.
        use_sudo: run it as root through sudo, else as the caller.
        interactive: sudo may ask for a password.
        installed: the copy that is used instead of the packaged file if only root can write to it.
        system_python: the interpreter that sudo runs if it exists, since only root can write to it.
    """
    program = installed if use_sudo and only_root_writes(installed) else PACKAGED_HELPER
    python = str(system_python) if use_sudo and system_python.exists() else sys.executable
    start = [python, "-I", str(program), "--socket", str(socket), "--uid", str(uid), "--key", key]
    start += ["--hosts-file", hosts_file, "--range", ip_range]
    if not use_sudo:
        return start
    return ["sudo", *([] if interactive else ["-n"]), "-p", PROMPT, "--", *start]


def only_root_writes(path: Path) -> bool:
    """Whether the file exists and only root can change it and the directories above it."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        states = [part.lstat() for part in (path, *path.parents)]
    except OSError:
        return False
    return all(state.st_uid == 0 and not state.st_mode & 0o022 for state in states)
