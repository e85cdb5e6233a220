"""The values that the rooms pass to each other: frozen dataclasses and enums, no behaviour but their own arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, order=True)
class ServiceKey:
    """A Service's namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class ServicePort:
    """One entry of a Service's `spec.ports`; `target_port` is a number, a name, or 0 where none is given."""

    name: str
    port: int
    target_port: int | str
    protocol: str = "TCP"


@dataclass(frozen=True)
class Service:
    """What is needed of a Service object.

    `type` is ClusterIP, NodePort, LoadBalancer or ExternalName; `headless` means `clusterIP: None`.
    `affinity_seconds` is how long a client keeps its pod (`sessionAffinity: ClientIP`); 0 means that it does not.
    """

    key: ServiceKey
    type: str
    headless: bool
    has_selector: bool
    ports: tuple[ServicePort, ...]
    external_name: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    affinity_seconds: int = 0


@dataclass(frozen=True, order=True)
class Endpoint:
    """A Ready pod behind one port of a Service: `port` is the number that this pod listens on.

    `hostname` is what the pod is called below the Service's name (a StatefulSet's `db-0`), else empty. `terminating`
    means that the pod is on its way out and still serves, which counts only if no Ready one is left.
    """

    pod: str
    port: int
    address: str = ""
    hostname: str = ""
    terminating: bool = False


@dataclass(frozen=True)
class EndpointSlice:
    """What is needed of an EndpointSlice object.

    Args:
        name: its own name; a Service may have several.
        service: the Service it belongs to.
        ports: pairs of port name and number; a number of None means every port.
        endpoints: the Ready ones that are pods (`port` 0, to be filled in by the ports above).
        others: how many endpoints are no pods.
        pods: how many endpoints are pods, Ready or not.
        unready: the names of the pods that are not Ready, or no longer.
        terminating: those of them that are on their way out and still serve (as `endpoints`).
    """

    name: str
    service: ServiceKey
    ports: tuple[tuple[str, int | None], ...]
    endpoints: tuple[Endpoint, ...]
    others: int
    pods: int
    unready: tuple[str, ...] = ()
    terminating: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Selection:
    """Which Services are forwarded.

    Empty `namespaces` means all but `skip_namespaces`. `patterns` are `svc`, `ns/svc` or globs of either;
    a pattern without a slash means the context's namespace unless `namespaces` or `all_namespaces` widens it.
    """

    namespaces: tuple[str, ...] = ()
    all_namespaces: bool = False
    label_selector: str = ""
    skip_namespaces: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Connection:
    """Which cluster is spoken to, and as whom: kubectl's connection flags, resolved and pinned at start.

    Args:
        kubectl: absolute path of the kubectl executable.
        kubeconfig: absolute paths, in kubectl's order of precedence; empty if kubectl finds what it uses by itself.
        context: the context's name.
        namespace: the context's namespace.
        server: the API server's URL.
        proxy: the URL of the proxy that is used to reach it, else empty.
        identity: what tells the cluster from others although its address may change: a hash of its CA, or its host.
        directory: where the user runs kubectl, so that a kubectl or a plugin finds what it looks for from there; empty
            if that is not known.
        kubectl_words: what stands between `kubectl` and its arguments, such as `kubectl` if that is k3s.
        plugin_mode: the `interactiveMode` of its credential plugin: Never, IfAvailable or Always; empty without one.
        in_cluster: whether these are a pod's credentials, for which there is no context.
        cluster, user, impersonate, impersonate_groups: `--cluster`, `--user`, `--as`, `--as-group` where given.
    """

    kubectl: str
    kubeconfig: tuple[str, ...]
    context: str
    namespace: str
    server: str
    proxy: str = ""
    identity: str = ""
    directory: str = ""
    kubectl_words: tuple[str, ...] = ()
    plugin_mode: str = ""
    in_cluster: bool = False
    cluster: str = ""
    user: str = ""
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether its credential plugin has to be run in a terminal."""
        return self.plugin_mode == "Always"

    @property
    def may_ask(self) -> bool:
        """Whether its credential plugin asks if there is a terminal."""
        return self.plugin_mode == "IfAvailable"

    def reaches_the_same(self, other: Connection) -> bool:
        """Whether another connection names the same cluster and user.

        The server's address may differ, and so may the files, as each shell may have one of its own (kubie, kush).
        """
        return self._target() == other._target()

    def _target(self) -> Connection:
        return replace(
            self,
            kubectl="",
            kubectl_words=(),
            kubeconfig=(),
            namespace="",
            server="",
            proxy="",
            directory="",
            plugin_mode="",
        )


@dataclass(frozen=True)
class Options:
    """How forwards are made; what a second command has to agree on with a running supervisor."""

    hosts: bool = True
    hosts_file: str = "/etc/hosts"
    allow_other_users: bool = False
    ip_range: str = "127.64.0.0/10"
    cluster_domain: str = "cluster.local"
    idle_timeout_seconds: float = 300.0
    max_children: int = 64
    wait_timeout_seconds: float = 30.0


@dataclass(frozen=True, order=True)
class PortMap:
    """One `--map [SERVICE=][HOST:]LOCAL[:PORT]`.

    Args:
        service: whose port, `svc` or `ns/svc`; empty if only one Service is exposed.
        host: where the local process listens; empty means 127.0.0.1.
        local_port: its port there.
        port: the Service's port: name, number or target port as typed; empty if the Service has only one.
    """

    service: str
    host: str
    local_port: int
    port: str


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PodOptions:
    """What the user asks of an exposure's objects, for clusters in which a policy wants it.

    Args:
        labels, annotations: on the pod and on all that is made for it.
        requests, limits: of each of the pod's containers, by resource (`cpu`); an amount of 0 takes ours away.
    """

    labels: Pairs = ()
    annotations: Pairs = ()
    requests: Pairs = ()
    limits: Pairs = ()


@dataclass(frozen=True)
class HostsLine:
    """One line of the managed block: an address and the names that lead to it."""

    address: str
    names: tuple[str, ...]
