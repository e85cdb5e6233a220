"""OpenSSH on this machine: keys, the command line of `ssh -R`, and what its error messages mean."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.errors import LocalizeError

KEYGEN_TIMEOUT_SECONDS = 20
INSTALL_HINT = "install OpenSSH's client (the package is called openssh-client or openssh)"

# What ssh says, and the short reason that it stands for.
_REASONS = (
    (re.compile(r"remote port forwarding failed for listen port (\d+)"), r"remote port \1 is still taken"),
    (re.compile(r"Host key verification failed"), "the host key does not match"),
    (re.compile(r"Permission denied"), "the exposure pod does not accept the session's key"),
    (re.compile(r"not responding|timed out"), "no answer"),
    (re.compile(r"Connection refused"), "connection refused"),
    (re.compile(r"[Cc]onnection (?:to \S+ )?(?:closed|reset)|Broken pipe"), "connection closed"),
)


@dataclass(frozen=True)
class KeyPair:
    """A private key as OpenSSH keeps it in a file, and the line of its public key, `ssh-ed25519 AAAA…`."""

    private: str
    public: str


def make_key(directory: Path, name: str) -> KeyPair:
    """Make an ed25519 key pair without a passphrase: `directory/name`, of mode 0600, and `directory/name.pub`.

    Args:
        directory: of both files; only its owner may enter it.
        name: the private key's file.

    Raises:
        LocalizeError: ssh-keygen is missing or fails, for example since the file exists already.
        OSError: the files cannot be read back.
    """
    path = directory / name
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=KEYGEN_TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise LocalizeError("ssh-keygen is not in the PATH", INSTALL_HINT) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalizeError(f"ssh-keygen does not run: {error}", INSTALL_HINT) from error
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise LocalizeError(f"ssh-keygen made no key in {directory}: {reason}")
    return KeyPair(path.read_text(), path.with_name(f"{name}.pub").read_text().strip())


def client_argv(
    *,
    port: int,
    user: str,
    identity: Path,
    known_hosts: Path,
    forwards: Sequence[tuple[int, str, int]],
    host_key_alias: str,
) -> list[str]:
    """Return the command line of an ssh to 127.0.0.1 that only listens at its other end (ssh(1), ssh_config(5)).

    The user's own configuration, agent and known hosts play no part. ssh ends if it cannot listen on one of the ports,
    and if the other end has been silent for 15 s.

    Args:
        port: the local end of a port-forward, which ssh connects to.
        user: the user at the other end.
        identity: the file of the private key.
        known_hosts: a file with the `known_hosts_line` of the alias.
        forwards: for each remote forward, the port that is listened on there, then host and port here.
        host_key_alias: the name that the host key is pinned to.
    """
    argv = ["ssh", "-F", "none", "-N", "-T", "-p", str(port), "-l", user]
    for option in _options(identity, known_hosts, host_key_alias):
        argv += ["-o", option]
    for target, host, local_port in forwards:
        # The star is every address of both IP families; 0.0.0.0 would leave out a Service of IPv6.
        argv += ["-R", f"*:{target}:{f'[{host}]' if ':' in host else host}:{local_port}"]
    return [*argv, "127.0.0.1"]


def _options(identity: Path, known_hosts: Path, host_key_alias: str) -> tuple[str, ...]:
    return (
        f"IdentityFile={_quoted(identity)}",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "BatchMode=yes",
        "PreferredAuthentications=publickey",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={_quoted(known_hosts)}",
        "GlobalKnownHostsFile=/dev/null",
        f"HostKeyAlias={host_key_alias}",
        "UpdateHostKeys=no",
        "ExitOnForwardFailure=yes",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
        "ConnectTimeout=10",
        "ControlMaster=no",
        "ControlPath=none",
    )


def known_hosts_line(alias: str, public_key: str) -> str:
    """Return the line that pins a host key to a `HostKeyAlias` (sshd(8), *SSH_KNOWN_HOSTS FILE FORMAT*)."""
    return f"{alias} {public_key.strip()}\n"


def explain(stderr: Sequence[str]) -> str:
    """Return why ssh ended, in a few words.

    Args:
        stderr: its last lines; if none of them is known, the last one is the reason.
    """
    for line in reversed(stderr):
        for pattern, reason in _REASONS:
            match = pattern.search(line)
            if match:
                return match.expand(reason)
    last_line = next((line.strip() for line in reversed(stderr) if line.strip()), "")
    return f"ssh: {last_line}" if last_line else "ssh ended and said nothing"


def _quoted(path: Path) -> str:
    """Return a path as an option's value: quoted, since blanks separate, and with `%%`, since `%` begins a token."""
    return '"' + str(path).replace("%", "%%") + '"'
