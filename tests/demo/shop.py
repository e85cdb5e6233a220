"""What is in the demo's cluster, and which addresses are visited."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.real.manifests import DEFAULT_IMAGE, Manifest, deployment, external_name, headless, service, statefulset, udp

NAMESPACES = ("shop", "backoffice")

# A Service to try expose with: `kubectl localize …` on this machine, and `kubectl …` that asks for it in the cluster.
SERVER = ("python3", "-m", "http.server", "--bind", "127.0.0.1", "3000")
EXPOSE = ("expose", "shop/web", "--image", DEFAULT_IMAGE, "--map", "3000:80", "--", *SERVER)
ASK = ("exec", "-n", "shop", "deploy/api", "--", "wget", "-qO-", "http://web/")


@dataclass(frozen=True)
class Visit:
    """An address that is fetched, what it shows, and how its answer has to begin."""

    about: str
    url: str
    expected: str

    @property
    def host(self) -> str:
        """The name in the address."""
        return urlsplit(self.url).hostname or ""


def objects(namespace: str) -> list[Manifest]:
    """The objects of a namespace."""
    if namespace == "backoffice":
        return [deployment("reports"), service("reports")]
    return [
        deployment("web", replicas=2),
        service("web"),
        deployment("api", admin=9090),
        service("api", {80: "http", 9090: "admin"}),
        statefulset("db", replicas=2),
        headless("db"),
        udp("metrics", 8125),
        external_name("payments", "payments.example.com"),
    ]


def workloads(namespace: str) -> list[str]:
    """What has to be Ready before the visits."""
    if namespace == "backoffice":
        return ["deployment/reports"]
    return ["deployment/web", "deployment/api", "statefulset/db"]


def visits(context: str, names: set[str]) -> list[Visit]:
    """The addresses, short and long; a bare name only if no other context has it."""
    return [visit for visit in _visits(context) if "." in visit.host or visit.host in names]


def _visits(context: str) -> list[Visit]:
    web, api, db, other = (
        "a Deployment of two pods",
        "a Service with two ports",
        "each pod of a StatefulSet",
        "another namespace",
    )
    return [
        Visit(web, "http://web/who", "web-"),
        Visit(web, "http://web.shop/who", "web-"),
        Visit(web, "http://web.shop.svc.cluster.local/who", "web-"),
        Visit(web, f"http://web.shop.{context}/who", "web-"),
        Visit(api, "http://api/who", "api-"),
        Visit(api, "http://api:9090/who", "api-"),
        Visit(api, "http://api.shop.svc.cluster.local:9090/who", "api-"),
        Visit(db, "http://db-0.db.shop:8080/who", "db-0,"),
        Visit(db, "http://db-1.db.shop:8080/who", "db-1,"),
        Visit(db, "http://db-1.db.shop.svc.cluster.local:8080/who", "db-1,"),
        Visit(other, "http://reports/who", "reports-"),
        Visit(other, "http://reports.backoffice/who", "reports-"),
        Visit(other, "http://reports.backoffice.svc.cluster.local/who", "reports-"),
    ]
