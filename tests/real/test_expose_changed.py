"""What others change while a Service is exposed: `ls` says within seconds that nothing comes here, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.real.cluster import Cluster
from tests.real.crashing import open_port, open_web
from tests.real.exposing import expose
from tests.real.manifests import deployment, service
from tests.real.product import Product

SAYS_WITHIN_SECONDS = 20.0  # on a machine that does other things, too; the aim is 3 s
NOTHING = "nothing comes here"


@dataclass
class Live:
    """An exposure of `web`, a Deployment of two."""

    cluster: Cluster
    namespace: str
    product: Product

    @property
    def key(self) -> str:
        return f"{self.namespace}/web"

    @property
    def pod(self) -> str:
        """The exposure pod."""
        return str(self.product.items()[self.key]["pod"])

    def kubectl(self, *argv: str) -> str:
        """What a colleague does in the namespace."""
        return self.cluster.kubectl(*argv, f"--namespace={self.namespace}")

    def patch(self, what: str, **change: object) -> None:
        """Change an object (`service/web`) by a merge patch."""
        self.kubectl("patch", what, "--type=merge", "-p", json.dumps(change))

    def wait_reason(self, reason: str) -> None:
        """Wait until `ls` gives this reason, or none if it is empty."""
        self.product.wait_item(
            self.key,
            reason or "as it should be",
            lambda item: reason in item["reason"] if reason else item["status"] == "Exposed" and not item["reason"],
            SAYS_WITHIN_SECONDS,
        )


@pytest.fixture
def live(cluster: Cluster, namespace: str, product: Product) -> Iterator[Live]:
    """One that is live, and is ended by `--stop` with everything as before."""
    web = open_web(cluster, namespace)
    with open_port() as port:
        done = expose(product.sandbox, "-d", web, f"--map={port}")
        assert done.returncode == 0, done.stderr
        yield Live(cluster, namespace, product)
        done = product.sandbox.localize("expose", "--stop", web)
        assert done.returncode == 0, done.stderr


def test_what_others_change_is_said_for_as_long_as_it_is_so(live: Live) -> None:
    """One exposure for all of it, since that is what takes time."""
    change_service(live)
    change_workload(live)


def change_service(live: Live) -> None:
    live.patch("service/web", spec={"selector": {"app": "v2"}})
    live.wait_reason(f"{NOTHING}: Service {live.key} selects app=v2, which pod {live.pod} does not have")
    live.patch("service/web", spec={"selector": {"app": "web"}})
    live.wait_reason("")

    live.patch("service/web", spec={"selector": None})
    live.wait_reason(f"{NOTHING}: Service {live.key} has no selector any more")
    live.patch("service/web", spec={"selector": {"app": "web"}})
    live.wait_reason("")

    live.patch("service/web", spec={"ports": [{"name": "http", "port": 80, "targetPort": 9000}]})
    live.wait_reason(f"{NOTHING} by port 80: Service {live.key} sends it to port 9000 now")
    live.patch("service/web", spec={"ports": [{"name": "http", "port": 80, "targetPort": "http"}]})
    live.wait_reason("")

    live.kubectl("label", "pod", live.pod, "app-")
    live.wait_reason(f"{NOTHING}: Service {live.key} selects app=web, which pod {live.pod} does not have")
    live.kubectl("label", "pod", live.pod, "app=web")
    live.wait_reason("")

    live.kubectl("delete", "service", "web")
    live.wait_reason(f"{NOTHING}: Service {live.key} is gone")
    live.cluster.apply(live.namespace, service("web"))
    live.wait_reason("")


def change_workload(live: Live) -> None:
    live.kubectl("scale", "deployment/web", "--replicas=1")
    live.wait_reason("scaled to 1 by others; traffic is shared")
    live.kubectl("scale", "deployment/web", "--replicas=0")
    live.wait_reason("")

    live.cluster.apply(live.namespace, {**deployment("other"), **_selecting_web(deployment("other"))})
    live.wait_reason("gets traffic, too; traffic is shared")
    live.kubectl("delete", "deployment", "other")
    live.wait_reason("")

    live.kubectl("delete", "deployment", "web")
    live.wait_reason(f"Deployment {live.namespace}/web was deleted by others and will not be brought back")


def _selecting_web(manifest: dict[str, object]) -> dict[str, object]:
    """The same workload, whose pods the Service web selects."""
    text = json.dumps(manifest["spec"]).replace('"app": "other"', '"app": "web", "of": "other"')
    return {"spec": json.loads(text)}
