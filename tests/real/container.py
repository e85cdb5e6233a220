"""A dev container on a sandbox's laptop: the same user and home, and an /etc/hosts and a network of its own.

As in a real one its network leads to the API server in another way than the host's: both have a relay at the same
address on loopback, over a Unix socket in the sandbox.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.cluster.commands import run, wait_until
from tests.real.sandbox import HOSTS, Sandbox

# relay.py LISTEN UPSTREAM, each of them HOST:PORT or a Unix socket's path.
RELAY = """
import asyncio, os, sys
async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError: pass
    writer.close()
async def serve(reader, writer):
    upstream = sys.argv[2]
    if "/" in upstream: other = await asyncio.open_unix_connection(upstream)
    else: other = await asyncio.open_connection(*upstream.rsplit(":", 1))
    await asyncio.gather(copy(reader, other[1]), copy(other[0], writer))
async def main():
    listen = sys.argv[1]
    if "/" in listen:
        server = await asyncio.start_unix_server(serve, listen)
        os.chmod(listen, 0o666)
    else: server = await asyncio.start_server(serve, *listen.rsplit(":", 1))
    print("listening", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Container(Sandbox):
    """Commands in the container. Make it with `open_container`.

    Args:
        laptop: where it runs.
        network: whether its network is its own, too, and not only its mounts.
    """

    def __init__(self, laptop: Sandbox, *, network: bool) -> None:
        self._flags = ["--mount", *(["--net"] if network else [])]
        self._laptop = laptop
        super().__init__(laptop.root, laptop.uid, laptop.environment)
        self.directories = laptop.directories
        # Not the file alone: the laptop's helper renames a new one over the old one, which ends any mount there.
        self.etc = laptop.root / "container-etc"
        run("cp", "-a", f"{laptop.etc}/.", str(self.etc))
        self.hosts.write_text(HOSTS.format(host="container"))
        self.bind(self.etc, "/etc")
        if network:
            run(*self._enter(), "ip", "link", "set", "lo", "up")

    def _hold(self) -> list[str]:
        return self._laptop.inside("unshare", *self._flags, "--propagation=private", "--", "sleep", "infinity")

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._holder.pid}", *self._flags, "--"]


@contextlib.contextmanager
def _relay(argv: list[str], listen: str, upstream: str) -> Iterator[None]:
    """A relay, until the end of the block; `argv` is what it is started behind."""
    command = [*argv, sys.executable, "-c", RELAY, listen, upstream]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:
        assert relay.stdout is not None
        assert relay.stdout.readline() == "listening\n"
        try:
            yield
        finally:
            relay.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def open_container(laptop: Sandbox, *, network: bool) -> Iterator[Container]:
    """A container whose user reaches the cluster by the same kubeconfig as the laptop's."""
    with contextlib.ExitStack() as stack:
        container = Container(laptop, network=network)
        stack.callback(container.end)
        stack.callback(lambda: container.kill_all(container.processes()))
        if network:
            config = json.loads(laptop.kubectl("config", "view", "--raw", "-o", "json"))
            cluster = config["clusters"][0]["cluster"]
            server = urlsplit(cluster["server"])
            here, between = f"127.0.0.1:{_free_port()}", str(laptop.root / "api.sock")
            stack.enter_context(_relay([], between, f"{server.hostname}:{server.port}"))
            stack.enter_context(_relay([], here, between))
            stack.enter_context(_relay(container.inside(), here, between))
            cluster |= {"server": f"https://{here}", "tls-server-name": server.hostname}
            laptop.use(json.dumps(config))
        yield container
        wait_until("end of the container's processes", lambda: len(container.processes()) <= int(network), 5)
