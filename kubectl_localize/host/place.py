"""Which machine or container this is, so that supervisors of two that share a home do not mistake one another's files.

A home may be shared with a dev container, a virtual machine, or by NFS. Addresses, processes and locks of one place
mean nothing in another, so each place has a directory of its own: the first to come has the root itself, and the
others have a directory in it.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

PROC, MACHINE_ID = Path("/proc"), Path("/etc/machine-id")
RECORD = "place.json"
PREFIX = "at-"


@dataclass(frozen=True)
class Place:
    """A network namespace of a machine.

    Args:
        machine: its id; a container mostly has none, and its own host name.
        boot: of the kernel, which containers share with their host; empty if the system does not tell.
        network: the network namespace; empty as well.
    """

    machine: str
    boot: str
    network: str

    def shares_kernel(self, other: Place) -> bool:
        """Whether locks of the other place can be seen from here, or have gone with a boot of this machine."""
        return self.boot == other.boot or self.machine == other.machine


def this_place(proc: Path = PROC, machine_id: Path = MACHINE_ID) -> Place:
    """Return where this process runs. Every command asks, so it costs two small files and a link.

    Args:
        proc: where /proc is mounted.
        machine_id: the file with the machine's id (machine-id(5)).
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        network = os.readlink(proc / "self/ns/net")
    except OSError:  # macOS: no container runs in it, and its name depends on the network
        return Place(sys.platform, "", "")
    try:
        machine = machine_id.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        machine = ""
    return Place(machine or os.uname().nodename, boot, network)


def root_of(root: Path, place: Place, lives: Callable[[Path], bool]) -> Path:
    """Return the directory in which a place keeps its state.

    Args:
        root: what all places share.
        place: whose directory.
        lives: whether any supervisor of a directory lives; only other kernels' cannot be seen.
    """
    recorded = _recorded(root)
    if recorded is None or recorded == place:
        return root
    own = root / f"{PREFIX}{zlib.crc32(f'{place.machine} {place.network}'.encode()):08x}"
    is_free = place.shares_kernel(recorded) and not own.exists() and not lives(root)
    return root if is_free else own


def record(root: Path, place: Place) -> None:
    """Note whose directory this is from now on.

    Raises:
        OSError: it cannot be written.
    """
    from kubectl_localize.host.paths import write_atomic

    if _recorded(root) != place:
        write_atomic(root / RECORD, json.dumps(asdict(place)))


def _recorded(root: Path) -> Place | None:
    """The place whose directory it is; None if nobody has begun there."""
    try:
        with open(os.open(root / RECORD, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), encoding="utf-8") as file:
            entry = json.loads(file.read(4096))
        return Place(str(entry["machine"]), str(entry["boot"]), str(entry["network"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def sees_block(hosts_file: str, key: str) -> bool:
    """Whether a hosts file, as this process sees it, has a context's managed block (`host.helper` writes it)."""
    try:
        return f"# >>> kubectl localize {key} ".encode() in Path(hosts_file).read_bytes()
    except OSError:
        return False
