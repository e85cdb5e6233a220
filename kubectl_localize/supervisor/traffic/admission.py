"""Whose connections are served: this user's and root's, as far as the system tells."""

from __future__ import annotations

import socket

from kubectl_localize.host.system import Peers

ROOT = 0


class Admission:
    """Decides on accepted connections.

    Args:
        peers: knows who is at the other end.
        uid: this user's.
        everybody: serve every user of this machine.
    """

    def __init__(self, peers: Peers, uid: int, *, everybody: bool) -> None:
        self._peers = peers
        self._uid = uid
        self._everybody = everybody

    @property
    def problem(self) -> str:
        """A sentence where others are served though nobody has said so; empty where not."""
        if self._everybody or self._peers.available:
            return ""
        return "this system does not tell whose a connection is, so all users of this machine are served"

    def objection(self, accepted: socket.socket) -> str:
        """Why the other end of an accepted connection is not served; empty where it is."""
        if self._everybody or not self._peers.available:
            return ""
        owner = self._peers.uid(accepted)
        if owner is None:  # it might be anybody's
            return "its client closed it before it could be asked whose it is; --allow-other-users serves such ones too"
        return "" if owner in (ROOT, self._uid) else f"its client belongs to another user (uid {owner})"
