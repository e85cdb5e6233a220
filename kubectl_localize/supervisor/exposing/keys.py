"""The keys of a session: made before it, for it alone, and deleted after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.cluster.exposing.values import object_name
from kubectl_localize.host import ssh


@dataclass(frozen=True)
class Keys:
    """What one session logs in with.

    Args:
        client, host: the client's and the pod's key pair.
        identity, known_hosts: the client's files, for this user only.
    """

    client: ssh.KeyPair
    host: ssh.KeyPair
    identity: Path
    known_hosts: Path


def make_keys(directory: Path, session: str) -> Keys:
    """Make both key pairs; the host's private half is in memory only when this returns.

    Raises: LocalizeError where there is no OpenSSH; OSError.
    """
    client = ssh.make_key(directory, f"ssh-{session}")
    host_name = f"host-{session}"
    host = ssh.make_key(directory, host_name)
    for name in (host_name, f"{host_name}.pub"):
        (directory / name).unlink(missing_ok=True)
    known_hosts = directory / f"known-{session}"
    known_hosts.write_text(ssh.known_hosts_line(object_name(session), host.public) + "\n")
    known_hosts.chmod(0o600)
    return Keys(client, host, directory / f"ssh-{session}", known_hosts)


def remove_keys(directory: Path, session: str) -> None:
    """Delete a session's files."""
    for name in (f"ssh-{session}", f"ssh-{session}.pub", f"host-{session}", f"host-{session}.pub", f"known-{session}"):
        (directory / name).unlink(missing_ok=True)
