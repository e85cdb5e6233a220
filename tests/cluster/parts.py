"""The parts of a node: what each is started with, and the files that it reads. Nothing here starts anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
IMAGE = "localhost/toolbox:1"


@dataclass(frozen=True)
class Layout:
    """What the parts have to know of their node."""

    state: Path
    packages: Path
    hyperkube: Path
    ip: str
    cgroup: str

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.state / "containerd.sock"

    @property
    def admin(self) -> Path:
        """The kubeconfig of the cluster's administrator."""
        return self.state / "admin.kubeconfig"


def write_files(layout: Layout) -> None:
    """Write every part's configuration into the node's state."""
    state = layout.state
    (state / "containerd.toml").write_text(_containerd_toml(layout))
    (state / "cni").mkdir()
    (state / "cni" / "10-pods.conflist").write_text(json.dumps(_cni(state)))
    (state / "resolv.conf").write_text(f"nameserver {DNS_SERVICE}\n")
    (state / "kubelet.json").write_text(json.dumps(_kubelet(layout)))
    (state / "Corefile").write_text(_corefile(layout))


def _containerd_toml(layout: Layout) -> str:
    # restrict_oom_score_adj: a machine may lack CAP_SYS_RESOURCE.
    # The opt plugin would make /opt/containerd, a place outside the node's state.
    return f"""
version = 2
root = "{layout.state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.state}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{layout.packages}/usr/lib/cni"
  conf_dir = "{layout.state}/cni"
"""


def _cni(state: Path) -> dict[str, Any]:
    # ptp rather than bridge: every packet between pods is routed, so kube-proxy's rules see it without br_netfilter.
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": POD_NETWORK}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": str(state / "ipam"),
                },
            }
        ],
    }


def _kubelet(layout: Layout) -> dict[str, Any]:
    state = layout.state
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "x509": {"clientCAFile": "ca.crt"},
            "webhook": {"enabled": False},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "address": layout.ip,
        "tlsCertFile": "kubelet.crt",
        "tlsPrivateKeyFile": "kubelet.key",
        "cgroupDriver": "cgroupfs",
        # A root of its own: a kubelet kills what it does not know below `kubepods`, also another node's pods.
        "cgroupRoot": layout.cgroup,
        "failCgroupV1": False,  # 1.35 and later refuse cgroup v1 otherwise
        "failSwapOn": False,
        "maxPods": 500,
        "podPidsLimit": -1,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_SERVICE],
        "resolvConf": str(state / "resolv.conf"),
        "registerNode": True,
        "serializeImagePulls": False,
        "podLogsDir": str(state / "podlogs"),
        "volumePluginDir": str(state / "volume-plugins"),
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "10s",
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "50Mi"},
    }


def _corefile(layout: Layout) -> str:
    return f""".:53 {{
    bind {layout.ip}
    errors
    ready {layout.ip}:8181
    cache 2
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {layout.admin}
        pods insecure
    }}
}}
"""


def commands(layout: Layout) -> dict[str, list[str]]:
    """The argv of every part by its name, in the order in which they are started."""
    state, admin = layout.state, f"--kubeconfig={layout.admin}"
    path = f"PATH={layout.packages}/usr/bin:{layout.packages}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"

    def hyperkube(component: str, *flags: str) -> list[str]:
        return [str(layout.hyperkube), component, *flags]

    return {
        "containerd": ["/usr/bin/env", path, "containerd", "-c", "containerd.toml"],
        "etcd": hyperkube(
            "etcd",
            f"--data-dir={state}/etcd",
            "--unsafe-no-fsync",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--log-level=error",
        ),
        "kube-apiserver": hyperkube("kube-apiserver", *_apiserver_flags(layout)),
        "kube-controller-manager": hyperkube(
            "kube-controller-manager",
            admin,
            "--leader-elect=false",
            "--service-account-private-key-file=sa.key",
            "--root-ca-file=ca.crt",
            "--node-monitor-grace-period=10m",
            "--concurrent-gc-syncs=10",
        ),
        "kube-scheduler": hyperkube("kube-scheduler", admin, "--leader-elect=false"),
        "kubelet": hyperkube(
            "kubelet",
            f"--kubeconfig={state}/kubelet.kubeconfig",
            "--config=kubelet.json",
            f"--root-dir={state}/kubelet",
            f"--container-runtime-endpoint=unix://{layout.containerd_socket}",
            "--hostname-override=node",
            f"--node-ip={layout.ip}",
        ),
        "kube-proxy": hyperkube(
            "kube-proxy",
            admin,
            "--hostname-override=node",
            f"--cluster-cidr={POD_NETWORK}",
            "--conntrack-max-per-core=0",  # the machine's limit may not be set from here, and need not
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ),
        "coredns": hyperkube("coredns", "-conf", "Corefile"),
    }


def _apiserver_flags(layout: Layout) -> list[str]:
    return [
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        "--secure-port=6443",
        f"--advertise-address={layout.ip}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--allow-privileged",
        "--authorization-mode=Node,RBAC",
        "--tls-cert-file=apiserver.crt",
        "--tls-private-key-file=apiserver.key",
        "--client-ca-file=ca.crt",
        "--kubelet-client-certificate=admin.crt",
        "--kubelet-client-key=admin.key",
        "--kubelet-preferred-address-types=InternalIP",  # the node's name does not resolve
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=sa.pub",
        "--service-account-signing-key-file=sa.key",
        "--max-requests-inflight=1000",
        "--max-mutating-requests-inflight=500",
    ]


def dns_objects(ip: str) -> str:
    """The Service kube-system/kube-dns and the slice that leads it to CoreDNS, which is a process and no pod."""
    ports = [
        {"name": name, "protocol": protocol, "port": 53} for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    meta = {"name": "kube-dns", "namespace": "kube-system"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
    }
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "ports": ports,
        "metadata": {**meta, "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}}],
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [service, slice_]})
