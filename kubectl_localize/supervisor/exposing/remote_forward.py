"""The `ssh -R` of an exposure: the keys that a session logs in with, and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.cluster.exposing.values import object_name
from kubectl_localize.host import ssh
from kubectl_localize.host.paths import write_atomic

LOGIN = "localize"


@dataclass(frozen=True)
class Keys:
    """What one session logs in with.

    Args:
        client: the key pair that ssh proves itself with.
        host: the key pair that the pod proves itself with.
        identity: the file of the client's private key, for this user only.
        known_hosts: the file that pins the pod's key, for this user only.
        pinned: what that file says.
    """

    client: ssh.KeyPair
    host: ssh.KeyPair
    identity: Path
    known_hosts: Path
    pinned: str = ""


def make_keys(directory: Path, session: str) -> Keys:
    """Make both key pairs; the host's private half is in memory only when this returns.

    Raises:
        LocalizeError: there is no OpenSSH.
        OSError: the files cannot be written.
    """
    client = ssh.make_key(directory, f"ssh-{session}")
    host_name = f"host-{session}"
    host = ssh.make_key(directory, host_name)
    for name in (host_name, f"{host_name}.pub"):
        (directory / name).unlink(missing_ok=True)
    pinned = ssh.known_hosts_line(object_name(session), host.public)
    keys = Keys(client, host, directory / f"ssh-{session}", directory / f"known-{session}", pinned)
    write_keys(keys)
    return keys


def write_keys(keys: Keys) -> None:
    """Write what ssh reads: the client's private key, and the pod's public one. Raises OSError."""
    write_atomic(keys.identity, keys.client.private)
    write_atomic(keys.known_hosts, f"{keys.pinned}\n")


def remove_keys(directory: Path, session: str) -> None:
    """Delete a session's files."""
    for name in (f"ssh-{session}", f"ssh-{session}.pub", f"host-{session}", f"host-{session}.pub", f"known-{session}"):
        (directory / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class RemoteForward:
    """What one exposure pod carries to this machine.

    Args:
        session: the exposure's session.
        keys: what ssh logs in with.
        ports: pairs of the port in the pod and our listener's port.
    """

    session: str
    keys: Keys
    ports: tuple[tuple[int, int], ...]

    def argv(self, local_port: int) -> list[str]:
        """Return the command line.

        Args:
            local_port: the local end of a port-forward to the pod's sshd.
        """
        return ssh.client_argv(
            port=local_port,
            user=LOGIN,
            identity=self.keys.identity,
            known_hosts=self.keys.known_hosts,
            forwards=[(pod_port, "127.0.0.1", own_port) for pod_port, own_port in self.ports],
            host_key_alias=object_name(self.session),
        )
