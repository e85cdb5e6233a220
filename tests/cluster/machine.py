"""What a machine looks like from outside, to hold two looks against each other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import ClusterError, run

# Where a node could leave files. In the shared places, in which everybody is at work, only what a part would call so.
PLACES = ("/etc", "/opt", "/run", "/var/lib", "/var/log", "/var/cache", "/sys/fs/cgroup")
SHARED_PLACES = ("/tmp", "/var/tmp")
NAMES_OF_PARTS = re.compile(r"localize|^lz-|containerd|ctr|runc|cni|etcd|kube|coredns|iptables")
# Numbers that count, or that the kernel draws anew at every look.
RESTLESS = re.compile(
    r"^(fs\.(dentry-state|file-nr|inode-nr|inode-state|quota)|kernel\.(ns_last_pid|random|pty\.nr)|"
    r"net\.netfilter\.nf_conntrack_count|net\.ipv[46]\.(conf|neigh)\.lz-|kernel\.sched_domain|sunrpc)"
)
COUNTERS = re.compile(r"\[[0-9]+:[0-9]+\]")  # packets and bytes
# How the paths, interfaces and rules of others begin: containers, clusters, virtual machines, VPNs of the developer's.
OTHERS = re.compile(
    r"\b(docker|containerd|podman|libpod|crio|buildkit|snapd|libvirt|virbr|lxc|lxd|kubelet|kubepods|KUBE-|cni|cali|"
    r"flannel|cilium|veth|br-[0-9a-f]|tailscale|wg[0-9]|tun[0-9]|systemd|journal)"
)
OURS = "localize"  # in whatever a node leaves: its directory, its control group


@dataclass(frozen=True)
class Machine:
    """One look at it: a set of lines for each kind of thing."""

    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    namespaces: frozenset[str]
    firewall: frozenset[str]
    sysctls: frozenset[str]
    files: frozenset[str]

    @classmethod
    def look(cls, node: str, ignored: tuple[str, ...] = ()) -> Machine:
        """Take it all in, of the processes the node's; what contains one of the ignored words is somebody else's."""

        def kept(lines: Iterator[str]) -> frozenset[str]:
            return frozenset(line for line in lines if not any(word in line for word in ignored))

        return cls(
            processes=kept(_processes(node)),
            mounts=kept(iter(Path("/proc/mounts").read_text().splitlines())),
            links=kept(iter(os.listdir("/sys/class/net"))),
            routes=kept(iter(run("ip", "route", "show", "table", "all").splitlines())),
            namespaces=kept(iter(run("ip", "netns", "list").splitlines())),
            firewall=kept(_firewall()),
            sysctls=kept(_sysctls(Path("/proc/sys"))),
            files=kept(_files()),
        )

    def changes_since(self, before: Machine) -> list[str]:
        """What came and what went, one line each; empty when the machine is as it was.

        If another of OTHERS was at work before, what bears its name says nothing about the node.
        """
        lines = []
        for kind in self.__dataclass_fields__:
            now: frozenset[str] = getattr(self, kind)
            then: frozenset[str] = getattr(before, kind)
            others = {name for line in then for name in _names(line)}
            changes = [*(f"+ {line}" for line in sorted(now - then)), *(f"- {line}" for line in sorted(then - now))]
            lines += [f"{kind}: {change}" for change in changes if OURS in change or not _names(change) & others]
        return lines


def _names(line: str) -> set[str]:
    return set(OTHERS.findall(line))


def _processes(name: str) -> Iterator[str]:
    """The command lines of what belongs to the node of this name: by its arguments, its directory or its group."""
    mark = f"localize-node/{name}"
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            group = (entry / "cgroup").read_text()
            directory = os.readlink(entry / "cwd")
        except OSError:
            continue
        if mark in command or mark in directory or f"/localize-{name}" in group:
            yield f"{entry.name} {command}"


def without_counters(rule: str) -> str:
    """A line of iptables-save without what every packet changes."""
    return COUNTERS.sub("", rule)


def _firewall() -> Iterator[str]:
    for program in ("iptables-save", "ip6tables-save"):
        try:
            lines = run(program).splitlines()
        except ClusterError:
            continue
        for line in lines:
            if not line.startswith("#"):
                yield f"{program} {without_counters(line)}"


def _sysctls(root: Path) -> Iterator[str]:
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory) / name
            key = ".".join(path.relative_to(root).parts)
            if RESTLESS.match(key):
                continue
            try:
                yield f"{key} = {path.read_text().strip()}"
            except (OSError, UnicodeDecodeError):
                continue


def _files() -> Iterator[str]:
    for place in PLACES:
        for directory, folders, names in os.walk(place):
            yield from (f"{directory}/{name}" for name in (*folders, *names))
    for place in SHARED_PLACES:
        yield from (f"{place}/{name}" for name in os.listdir(place) if NAMES_OF_PARTS.search(name))
