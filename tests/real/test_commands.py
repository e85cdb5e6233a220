"""ls, stop, logs and version: what they print, and in which formats."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

import pytest
import yaml

from tests.real.cluster import Cluster
from tests.real.manifests import service
from tests.real.product import Product, assert_fails
from tests.real.sandbox import Sandbox
from tests.real.shop import Shop
from tests.real.terminal import CONTROL_SEQUENCE

EMPTY = {"apiVersion": "localize/v1", "kind": "List", "supervisors": [], "items": []}
SUPERVISOR_FIELDS = {"context", "pid", "startedAt", "version", "hosts", "children"}
ITEM_FIELDS = {"kind", "context", "namespace", "name", "status", "reason", "address", "pods", "hostnames", "ports"}
PORT_FIELDS = {
    "name", "port", "localPort", "targetPort", "protocol", "status", "reason", "connections", "bytesIn", "bytesOut",
    "restarts", "children",
}  # fmt: skip


def _rows(table: str) -> list[list[str]]:
    """A table's cells: columns are three spaces apart or more."""
    return [re.split(r"\s{3,}", line) for line in table.splitlines()]


def test_nothing_runs(sandbox: Sandbox) -> None:
    product = Product(sandbox)
    assert json.loads(product.ls("-o", "json")) == EMPTY
    assert yaml.safe_load(product.ls("-o", "yaml")) == EMPTY
    for output in ("table", "wide", "name"):
        assert product.ls("-o", output) == ""
    assert "nothing is running" in sandbox.localize("ls").stderr
    assert "nothing is running" in product.stop().stderr
    assert "nothing is running" in product.stop("--all").stderr
    assert_fails(sandbox.localize("logs"), "there is no log", "start with kubectl localize")
    assert not (sandbox.home / ".kube" / "localize").exists()


def test_ls_table(shop: Shop, laptop: Product) -> None:
    laptop.fetch_all(shop.url("web", 7080))
    web = laptop.wait_item(f"{shop.namespace}/web", "in use", lambda item: item["status"] == "Active")
    table = laptop.ls("--all")
    rows = _rows(table)
    assert rows[0] == ["NAMESPACE", "NAME", "STATUS", "ADDRESS", "HOST", "PORT(S)", "ENDPOINT", "AGE", "REASON"]
    assert [row[:2] for row in rows[1:]] == sorted(row[:2] for row in rows[1:])
    by_name = {(row[0], row[1]): row for row in rows[1:]}
    shown = by_name[shop.namespace, "web"]
    host = min(web["hostnames"], key=len)
    assert shown[2:6] == ["Active", web["address"], host, "7080->http,7081->admin,7082->18080"]
    assert laptop.sandbox.resolve(host) == [web["address"]]
    assert re.fullmatch(r"web-\S+( \+1)?", shown[6])
    assert re.fullmatch(r"\d+[smh]\S*", shown[7])
    dns = by_name[shop.namespace, "dns"]
    assert dns[2:] == ["Skipped", "<none>", "<none>", "53/UDP", "<none>", "<none>", "UDP cannot be forwarded"]
    assert by_name[shop.namespace, "empty"][2] == "Waiting"
    assert not CONTROL_SEQUENCE.search(table)
    folded = laptop.sandbox.localize("ls", "-A")
    left_out = [row[:2] for row in rows[1:] if row[2] == "Skipped"]
    assert [row[:2] for row in _rows(folded.stdout)[1:]] == [row[:2] for row in rows[1:] if row[:2] not in left_out]
    assert f"{len(left_out)} Services cannot be forwarded; `kubectl localize ls --all` lists them\n" in folded.stderr


def test_ls_takes_what_people_who_use_kubectl_type(shop: Shop, laptop: Product) -> None:
    web = f"{shop.namespace}/web"
    item = laptop.items()[web]
    assert laptop.ls(f"{shop.namespace}/svc/web", "-o", "jsonpath={.items[0].address}") == item["address"]
    columns = laptop.ls(web, "--no-headers", "-o", "custom-columns=NAME:.name,PORTS:.ports[*].port")
    assert columns == "web   7080,7081,7082\n"
    assert not laptop.ls("--no-headers").startswith("NAMESPACE")


def test_ls_wide_and_name(shop: Shop, laptop: Product) -> None:
    rows = _rows(laptop.ls("-o", "wide", f"{shop.namespace}/web"))
    wide = ["HOSTNAMES", "PODS", "CONNECTIONS", "BYTES IN", "BYTES OUT", "RESTARTS", "REASON"]
    assert rows[0][7:] == wide
    assert rows[1][7].startswith("web,")
    names = laptop.ls("-o", "name").splitlines()
    assert names == sorted(laptop.items())
    assert f"{shop.other}/lone" in names


@pytest.mark.core
def test_ls_json_has_the_contracts_fields_and_yaml_says_the_same(shop: Shop, laptop: Product) -> None:
    laptop.fetch_all(shop.url("web", 7081, "/bytes?n=5000"))

    def counted(item: dict[str, Any]) -> bool:
        (port,) = (port for port in item["ports"] if port["port"] == 7081)
        return bool(port["bytesIn"] >= 5000 and port["bytesOut"] > 0 and port["children"])

    web = laptop.wait_item(f"{shop.namespace}/web", "has counted", counted)
    (supervisor,) = laptop.document()["supervisors"]
    assert supervisor.keys() >= SUPERVISOR_FIELDS
    assert supervisor["hosts"] == "written"
    assert supervisor["children"] >= 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", supervisor["startedAt"])
    assert web.keys() >= {*ITEM_FIELDS, "since"}
    for port in web["ports"]:
        assert port.keys() >= PORT_FIELDS
    admin = web["ports"][1]
    assert (admin["port"], admin["localPort"], admin["targetPort"], admin["status"]) == (7081, 7081, "admin", "Active")
    (child, *_) = admin["children"]
    assert child["pod"].startswith("web-")
    pids = {process.pid for process in laptop.sandbox.processes()}
    assert {child["pid"], supervisor["pid"]} <= pids
    as_yaml = yaml.safe_load(laptop.ls("-o", "yaml"))
    assert [item["name"] for item in as_yaml["items"]] == [item["name"] for item in laptop.document()["items"]]
    assert as_yaml["items"][0].keys() == web.keys()


def test_ls_narrows(shop: Shop, laptop: Product) -> None:
    assert laptop.ls("-o", "name", "-n", shop.other).splitlines() == [f"{shop.other}/lone", f"{shop.other}/web"]
    assert laptop.ls("-o", "name", "web").splitlines() == sorted([f"{shop.namespace}/web", f"{shop.other}/web"])
    assert laptop.ls("-o", "name", f"{shop.namespace}/d*").splitlines() == [
        f"{shop.namespace}/{n}" for n in ("db", "dns")
    ]
    assert laptop.ls("-o", "name", "-l", "no=such") == ""


def test_ls_watches(cluster: Cluster, namespace: str, product: Product) -> None:
    cluster.apply(namespace, service("first", {7080: 8080}))
    product.detach("-n", namespace)
    terminal = product.sandbox.pty("kubectl", "localize", "ls", "-w")
    lines = product.sandbox.spawn("kubectl", "localize", "ls", "-w", "-o", "name")
    assert lines.stdout is not None
    try:
        terminal.expect(r"first +Waiting")
        assert lines.stdout.readline() == f"{namespace}/first\n"
        cluster.apply(namespace, service("second", {7080: 8080}))
        terminal.expect(r"second +Waiting")
        assert lines.stdout.readline() == f"{namespace}/second\n"
        terminal.send("\x03")
        assert terminal.wait() == 0
        lines.send_signal(signal.SIGINT)
        assert lines.wait(10) == 0
    finally:
        terminal.close()
        lines.kill()
        lines.wait()
        lines.stdout.close()
    product.stop()


def test_logs(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web")
    following = product.sandbox.spawn("kubectl", "localize", "logs", "-f")
    assert following.stdout is not None
    with following.stdout:
        product.stop()
        said = ""
        while "the supervisor ends" not in said:
            line = following.stdout.readline()
            assert line, said
            said += line
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 0
    done = product.sandbox.localize("logs")
    assert done.returncode == 0
    assert "the supervisor ends" in done.stdout


@pytest.mark.core
@pytest.mark.sudo  # another user's processes can be looked at by root only
def test_it_runs_on_the_python_and_with_the_kubectl_that_were_chosen(shop: Shop, laptop: Product) -> None:
    laptop.fetch_all(shop.url("web", 7080))
    web = laptop.wait_item(f"{shop.namespace}/web", "in use", lambda item: item["status"] == "Active")
    (child, *_) = (child for port in web["ports"] for child in port["children"])
    environment = laptop.sandbox.environment
    assert os.readlink(f"/proc/{laptop.pid()}/exe") == str(environment.python.resolve())
    assert os.readlink(f"/proc/{child['pid']}/exe") == str(environment.kubectl.resolve())


@pytest.mark.core
def test_version(sandbox: Sandbox) -> None:
    lines = sandbox.localize("version").stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["kubectl localize", "kubectl", "ssh", "server"]
    found = json.loads(sandbox.localize("version", "-o", "json").stdout)
    assert found["kind"] == "Version"
    assert re.match(r"v1\.\d+", found["kubectl"])
    assert re.match(r"v1\.\d+", found["server"])
    assert re.match(r"OpenSSH", found["ssh"])
    assert re.match(r"\d+\.\d+", found["localize"])
    alone = json.loads(sandbox.localize("version", "--client", "-o", "json").stdout)
    assert alone == {key: value for key, value in found.items() if key != "server"}
    sandbox.kubeconfig.unlink()
    assert sandbox.localize("version", "--client").returncode == 0
    away = sandbox.localize("version")
    assert away.returncode == 1
    assert "kubectl localize:" in away.stdout
    assert re.search(r"^error: the server's version is not known: .*\nhint: ", away.stderr)


@pytest.mark.parametrize("argv", [[], ["ls"], ["stop"], ["logs"], ["version"]], ids=" ".join)
def test_help_names_the_command_as_it_is_typed(laptop: Product, argv: list[str]) -> None:
    done = laptop.sandbox.localize(*argv, "-h")
    assert done.returncode == 0
    assert re.search(rf"kubectl localize {' '.join(argv)}", done.stdout)
    assert "kubectl-localize" not in done.stdout
