"""An order goes to the supervisor as JSON and comes out the same."""

from __future__ import annotations

import json
from dataclasses import fields, replace

from kubectl_localize.model import PortMap, ServiceKey
from kubectl_localize.supervisor.exposing.order import ExposeRequest, from_json, to_json
from tests.unit.cluster.samples import CONNECTION

ORDER = ExposeRequest(
    services=(ServiceKey("shop", "cart"), ServiceKey("other", "web")),
    maps=(PortMap("shop/cart", "::1", 3000, "http"), PortMap("", "", 80, "")),
    keep=True,
    force=True,
    dry_run=True,
    failsafe_seconds=90.5,
    failsafe_service_account="admins",
    image="with-sshd",
    failsafe_image="with-curl",
    image_pull_secret="registry",
    command=True,
)


def test_there_and_back() -> None:
    plain = ExposeRequest((ServiceKey("shop", "cart"),))
    assert all(getattr(ORDER, one.name) != getattr(plain, one.name) for one in fields(ExposeRequest))
    connection = replace(CONNECTION, user="ada", impersonate_groups=("ops",))
    for order in (ORDER, plain):
        assert from_json(json.loads(json.dumps(to_json(order, connection)))) == (order, connection)
