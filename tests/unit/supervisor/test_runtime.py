"""What forwards and exposures share is made once, moves with the kubeconfig, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kubectl_localize.errors import LocalizeError, UnauthorizedError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.model import Connection
from kubectl_localize.supervisor.runtime import RuntimeSource
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.groups import Groups
from tests.unit.supervisor.loop import until

# A kubectl whose proxy answers everything with the server's URL that it was started for.
KUBECTL = """#!{python}
import http.server, os, socketserver, sys
path = sys.argv[-1].removeprefix("--unix-socket=")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        text = b'{{"pid": %d}}' % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words):
        pass
class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    def get_request(self):
        return self.socket.accept()[0], ("", 0)
with Server(path, Handler) as server:
    print("Starting to serve on", path, flush=True)
    server.serve_forever()
"""


class Stage:
    """A source of runtimes whose kubectl is a stand-in, for a server that takes connections."""

    def __init__(self, directory: Path, server: socket.socket) -> None:
        self.directory = directory / ("x" * 120)  # past what a Unix socket's path may have
        self.directory.mkdir()
        kubectl = directory / "kubectl"
        kubectl.write_text(KUBECTL.format(python=sys.executable))
        kubectl.chmod(0o755)
        self.groups = Groups()
        self.source = RuntimeSource(RunPaths(self.directory), self.groups)
        self.connection = replace(CONNECTION, kubectl=str(kubectl), server=address(server), identity="ca:1")


def address(server: socket.socket) -> str:
    return f"https://127.0.0.1:{server.getsockname()[1]}"


@asynccontextmanager
async def staged(directory: Path) -> AsyncIterator[Stage]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stage = Stage(directory, server)
        try:
            yield stage
        finally:
            await stage.source.close()
            assert os.listdir(stage.directory) == []


async def test_forwards_and_exposures_share_probe_gate_and_proxy(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        runtime = await stage.source.get(stage.connection)
        assert await stage.source.get(replace(stage.connection, namespace="other")) is runtime
        first, second = await asyncio.gather(runtime.api.get("/version"), runtime.api.get("/api/v1/pods"))
        assert first == second
        assert stage.groups.story == [("add", first["pid"])], "the guard ends it if the supervisor is killed"


async def test_the_proxy_is_starting_before_the_first_request(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        assert stage.source.activity == (0, 0)
        runtime = await stage.source.get(stage.connection)
        assert len(stage.groups.story) == 1
        assert stage.groups.story == [("add", (await runtime.api.get("/version"))["pid"])]


@pytest.mark.parametrize("change", [{"user": "bob"}, {"identity": "ca:2"}, {"impersonate": "bob"}])
async def test_another_cluster_or_user_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    async with staged(tmp_path) as stage:
        await stage.source.get(stage.connection)
        with pytest.raises(LocalizeError, match="already in use by pid"):
            await stage.source.get(replace(stage.connection, **change))  # type: ignore[arg-type]
        moved = replace(stage.connection, server="https://127.0.0.1:2", proxy="http://proxy")
        assert await stage.source.get(moved), "the same cluster at another address"


async def test_a_changed_kubeconfig_means_another_proxy(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        runtime = await stage.source.get(stage.connection)
        before = await runtime.api.get("/version")
        moved: Connection = replace(stage.connection, server="https://127.0.0.1:2")
        runtime.move(moved)
        assert await runtime.api.get("/version") != before
        assert runtime.connection == moved
        await until(lambda: ("remove", before["pid"]) in stage.groups.story)


async def test_what_was_left_by_a_killed_supervisor_is_removed(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        (stage.directory / "api-7.sock").touch()
        await stage.source.get(stage.connection)
        assert "api-7.sock" not in os.listdir(stage.directory)


async def test_what_kubectl_needs_is_made_anew_with_its_directory(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        runtime = await stage.source.get(stage.connection)
        before = await runtime.api.get("/version")
        shutil.rmtree(stage.directory)
        stage.directory.mkdir()
        runtime.remake_files()
        assert await runtime.api.get("/version") != before


async def test_a_server_that_cannot_be_leaves_nothing_open(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        with pytest.raises(LocalizeError, match="which is invalid"):
            await stage.source.get(replace(stage.connection, server="https://10.0.0.1:x"))
        assert stage.source.runtime is None


async def test_a_first_command_that_leaves_at_once_leaves_a_whole_runtime_to_the_next(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        getting = asyncio.create_task(stage.source.get(stage.connection))
        await asyncio.sleep(0)  # it is starting the proxy
        getting.cancel()
        await asyncio.wait((getting,))
        runtime = await stage.source.get(stage.connection)
        await runtime.transport.request("GET", "/version")
    started = {pgid for what, pgid in stage.groups.story if what == "add"}
    assert started == {pgid for what, pgid in stage.groups.story if what == "remove"}


async def test_a_command_that_has_read_another_server_has_the_kubeconfig_read_at_once(tmp_path: Path) -> None:
    """`minikube start` has moved the port, and the next look of the monitor is a second away."""
    async with staged(tmp_path) as stage:
        file = tmp_path / "config"
        first = replace(stage.connection, kubeconfig=(str(file),), identity="host:127.0.0.1")
        runtime = await stage.source.get(first)
        moved = replace(first, server="https://127.0.0.1:2")
        cluster = {"name": "c", "cluster": {"server": moved.server}}
        context = {"name": first.context, "context": {"cluster": "c", "user": "u"}}
        file.write_text(json.dumps({"clusters": [cluster], "contexts": [context], "users": []}))
        await stage.source.get(moved)
        assert runtime.connection.server == moved.server


def write_config(file: Path, connection: Connection, token: str) -> Connection:
    """Write a kubeconfig of one context, and return the connection with it."""
    document = {
        "contexts": [{"name": connection.context, "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": connection.server}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    file.write_text(json.dumps(document))
    return replace(connection, kubeconfig=(str(file),), identity="host:127.0.0.1")


async def test_a_shell_with_a_kubeconfig_of_its_own_joins_if_it_has_the_same_credentials(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        first = write_config(tmp_path / "first", stage.connection, "secret")
        runtime = await stage.source.get(first)
        assert await stage.source.get(write_config(tmp_path / "second", stage.connection, "secret")) is runtime
        (tmp_path / "first").unlink()
        runtime.follow_kubeconfig()
        assert runtime.connection.kubeconfig == (str(stage.directory / "kubeconfig"),)
        assert await stage.source.get(write_config(tmp_path / "third", stage.connection, "secret")) is runtime
        with pytest.raises(LocalizeError, match=r"with other credentials than those in .*/fourth") as raised:
            await stage.source.get(write_config(tmp_path / "fourth", stage.connection, "another"))
        assert "stop" in raised.value.hint


async def test_a_shell_with_other_credentials_replaces_those_that_are_accepted_no_more(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        runtime = await stage.source.get(write_config(tmp_path / "first", stage.connection, "expired"))
        runtime.access.failed(UnauthorizedError("expired"))
        fresh = write_config(tmp_path / "second", stage.connection, "fresh")
        assert await stage.source.get(fresh) is runtime
        assert (runtime.connection.kubeconfig, runtime.problems()) == (fresh.kubeconfig, [])
