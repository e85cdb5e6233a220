"""The supervisor's side of the helper: the command that starts it, the server, the requests."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubectl_localize.host import helper as helper_program
from kubectl_localize.host.helper_client import AddressInUseError, DeniedError, Helper, HelperError
from kubectl_localize.host.helper_command import helper_argv, only_root_writes
from kubectl_localize.host.helper_server import HelperServer
from kubectl_localize.host.sockets import RESERVED_BY_LISTENERS
from kubectl_localize.model import HostsLine

KEY = f"kind-dev-1a2b3c4d-{os.getuid()}"
LINES = [HostsLine("127.64.0.9", ("web.shop", "web"))]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root binds low ports")


def argv(
    path: Path, hosts_file: Path, *, use_sudo: bool = False, interactive: bool = True, **places: Path
) -> list[str]:
    return helper_argv(
        socket=path,
        uid=os.getuid(),
        key=KEY,
        hosts_file=str(hosts_file),
        ip_range="127.64.0.0/10",
        use_sudo=use_sudo,
        interactive=interactive,
        **places,
    )


def open_to_all(*paths: Path) -> None:
    for path in paths:
        path.chmod(0o777)


async def start(path: Path, hosts_file: Path) -> int:
    process = await asyncio.create_subprocess_exec(*argv(path, hosts_file), stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


@asynccontextmanager
async def connected(directory: Path) -> AsyncIterator[tuple[HelperServer, Helper]]:
    """A server in the directory, and a helper that writes the directory's hosts file."""
    server = HelperServer(directory / "helper.sock")
    await server.start()
    try:
        assert await start(directory / "helper.sock", directory / "hosts") == 0
        helper = server.helper
        assert helper is not None
        yield server, helper
    finally:
        await server.close()


async def test_a_socket_that_was_removed_is_made_anew_for_the_next_helper(tmp_path: Path) -> None:
    async with connected(tmp_path) as (server, helper):
        (tmp_path / "helper.sock").unlink()
        await server.start()
        assert server.helper is helper, "what it did stays"
        await helper.close()
        await helper.closed.wait()
        assert await start(tmp_path / "helper.sock", tmp_path / "hosts") == 0
        assert server.helper is not None
    assert not (tmp_path / "helper.sock").exists()


def test_without_sudo_our_own_interpreter_runs_the_packaged_file(tmp_path: Path) -> None:
    command = argv(tmp_path / "s", tmp_path / "h", installed=tmp_path / "missing")
    assert command[:3] == [sys.executable, "-I", helper_program.__file__]
    assert command[3:] == [
        "--socket",
        str(tmp_path / "s"),
        "--uid",
        str(os.getuid()),
        "--key",
        KEY,
        "--hosts-file",
        str(tmp_path / "h"),
        "--range",
        "127.64.0.0/10",
    ]


def test_sudo_runs_the_systems_interpreter_and_says_who_asks(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.touch()
    missing = tmp_path / "missing"
    command = argv(Path("/s"), Path("/h"), use_sudo=True, installed=missing, system_python=python)
    assert command[:2] == ["sudo", "-p"]
    assert "kubectl localize" in command[2]
    assert "\n" not in command[2]
    assert command[3:7] == ["--", str(python), "-I", helper_program.__file__]
    quiet = argv(Path("/s"), Path("/h"), use_sudo=True, interactive=False, installed=missing, system_python=missing)
    assert quiet[:2] == ["sudo", "-n"]
    assert sys.executable in quiet


def test_a_copy_that_others_can_write_to_is_not_run(tmp_path: Path) -> None:
    copy = tmp_path / "helper.py"
    copy.touch(mode=0o666)
    copy.chmod(0o666)
    assert helper_program.__file__ in argv(Path("/s"), Path("/h"), use_sudo=True, installed=copy)
    # Below /tmp, where everybody writes, no file is safe, whoever owns it.
    copy.chmod(0o644)
    assert not only_root_writes(copy)
    assert not only_root_writes(tmp_path)
    assert not only_root_writes(tmp_path / "missing")


def test_a_copy_that_only_root_can_write_to_is_run() -> None:
    program = Path("/usr/bin/env")
    assert only_root_writes(program.resolve())
    assert str(program.resolve()) in argv(Path("/s"), Path("/h"), use_sudo=True, installed=program.resolve())


async def test_hosts_are_written_and_gone_when_the_server_has_closed(short_dir: Path) -> None:
    hosts_file = short_dir / "hosts"
    hosts_file.write_text("127.0.0.1 localhost")
    async with connected(short_dir) as (server, helper):
        await helper.set_hosts("kind-dev", LINES)
        assert "127.64.0.9\tweb.shop web\n" in hosts_file.read_text()
        await helper.set_hosts("kind-dev", [])
        assert hosts_file.read_text() == "127.0.0.1 localhost"
        await helper.set_hosts("kind-dev", LINES)
        await server.close()
        assert hosts_file.read_text() == "127.0.0.1 localhost"
        assert helper.closed.is_set()
        assert server.helper is None
        with pytest.raises(HelperError, match="gone"):
            await helper.set_hosts("kind-dev", LINES)

    assert not (short_dir / "helper.sock").exists()


async def test_a_big_block_goes_through(short_dir: Path) -> None:
    lines = [
        HostsLine(f"127.64.{i // 250}.{i % 250 + 1}", tuple(f"s{i}.ns{j}" for j in range(40))) for i in range(2000)
    ]
    async with connected(short_dir) as (_, helper):
        await helper.set_hosts("kind-dev", lines)
        text = (short_dir / "hosts").read_text()
        assert text.split().count("s1999.ns39") == 1
        assert len(text.splitlines()) > 2000


async def test_refusals_are_errors_and_the_next_request_works(short_dir: Path) -> None:
    async with connected(short_dir) as (_, helper):
        with pytest.raises(HelperError, match="not a DNS name"):
            await helper.set_hosts("kind-dev", [HostsLine("127.64.0.9", ("No Name",))])
        with pytest.raises(HelperError, match="outside"):
            await helper.bind("127.0.0.1", 80)
        await helper.alias("127.64.0.9", True)
        await helper.alias("127.64.0.9", False)


@as_root
async def test_bound_sockets_work_and_a_taken_port_is_told(short_dir: Path) -> None:
    async with connected(short_dir) as (_, helper):
        bound = await helper.bind("127.64.7.8", 85)
        with bound:
            bound.listen()
            assert not bound.getblocking()
            assert not bound.get_inheritable()
            with pytest.raises(AddressInUseError):
                await helper.bind("127.64.7.8", 85)
            results = await helper.bind_many([("127.64.7.8", 85), ("127.64.7.9", 81), ("127.64.7.9", 5000)])
            assert isinstance(results[0], AddressInUseError)
            assert isinstance(results[1], socket.socket)
            assert results[1].getsockname() == ("127.64.7.9", 81)
            assert isinstance(results[2], HelperError)
            results[1].close()


@as_root
async def test_many_sockets_at_once_are_quick(short_dir: Path) -> None:
    wanted = [(f"127.64.8.{number}", port) for number in range(1, 101) for port in (85, 447)]
    async with connected(short_dir) as (_, helper):
        took = []
        for _ in range(3):
            before = time.monotonic()
            results = await helper.bind_many(wanted)
            took.append(time.monotonic() - before)
            for result, address in zip(results, wanted, strict=True):
                assert isinstance(result, socket.socket)
                assert result.getsockname() == address
                result.close()
        assert min(took) < 0.1


@as_root
async def test_descriptors_that_found_no_place_are_errors_and_the_rest_stay_in_order(short_dir: Path) -> None:
    import resource

    wanted = [("127.64.9.1", port) for port in range(100, 160)]
    async with connected(short_dir) as (_, helper):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + RESERVED_BY_LISTENERS + 8, limits[1]))
        try:
            results = await helper.bind_many(wanted)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        bound = [result for result in results if isinstance(result, socket.socket)]
        assert 0 < len(bound) <= 8
        assert all("too many open files" in str(result) for result in results if isinstance(result, HelperError))
        for result in bound:
            assert result.getsockname() in wanted
            result.close()
        again = await helper.bind(*wanted[-1])
        assert again.getsockname() == wanted[-1]
        again.close()


async def test_a_cancelled_request_disturbs_no_other(short_dir: Path) -> None:
    async with connected(short_dir) as (_, helper):
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await helper.alias("127.64.7.10", True)
        before = os.listdir("/dev/fd")
        task = asyncio.create_task(helper.bind("127.64.7.10", 80))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await helper.set_hosts("kind-dev", LINES)
        with pytest.raises(HelperError, match="outside"):
            await helper.bind("127.0.0.1", 80)
        assert complaints == []
        assert os.listdir("/dev/fd") == before


async def test_one_helper_at_a_time_and_a_new_one_after_a_dead_one(short_dir: Path) -> None:
    changes: list[Helper | None] = []

    path, hosts_file = short_dir / "helper.sock", short_dir / "hosts"
    server = HelperServer(path, on_change=changes.append)
    await server.start()
    assert changes == []
    assert await start(path, hosts_file) == 0
    first = server.helper
    assert first is not None
    assert await start(path, hosts_file) == 1
    assert server.helper is first
    await first.close()
    assert await start(path, hosts_file) == 0
    second = server.helper
    assert second is not None
    assert second is not first
    await second.set_hosts("kind-dev", LINES)
    await server.close()
    assert changes == [first, None, second, None]


async def test_a_helper_that_dies_fails_what_is_under_way(short_dir: Path) -> None:
    path = short_dir / "helper.sock"
    server = HelperServer(path)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b'{"op": "hello", "version": 2}\n')
    assert await reader.readline() == b'{"ok": true}\n'
    helper = server.helper
    assert helper is not None
    request = asyncio.create_task(helper.set_hosts("l", LINES))
    assert b"web.shop" in await reader.readline()
    writer.write(b"not our protocol\n")
    with pytest.raises(HelperError, match="gone"):
        await request
    await helper.closed.wait()
    writer.close()
    await server.close()


@pytest.mark.parametrize("hello", [b"GET / HTTP/1.1\n", b"[]\n", b'{"op": "hello", "version": 99}\n', b""])
async def test_who_does_not_say_hello_is_no_helper(short_dir: Path, hello: bytes) -> None:
    server = HelperServer(short_dir / "helper.sock")
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(short_dir / "helper.sock"))
    writer.write(hello)
    writer.write_eof()
    answer = await reader.read()
    assert b"true" not in answer
    assert server.helper is None
    writer.close()
    await server.close()


async def test_a_process_of_another_user_is_no_helper(short_dir: Path, other_uid: int) -> None:
    client = (
        "import socket, sys; c = socket.socket(socket.AF_UNIX); c.connect(sys.argv[1]);"
        'c.sendall(b\'{"op": "hello", "version": 2}\\n\'); print(c.recv(100))'
    )

    server = HelperServer(short_dir / "helper.sock")
    await server.start()
    open_to_all(short_dir, short_dir / "helper.sock")
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/python3",
        "-c",
        client,
        str(short_dir / "helper.sock"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        user=other_uid,
        cwd="/",
    )
    output, _ = await process.communicate()
    assert output == b"b''\n" or b"ConnectionResetError" in output or b"BrokenPipe" in output
    assert server.helper is None
    await server.close()


async def test_denied_is_its_own_error(short_dir: Path) -> None:
    path = short_dir / "helper.sock"
    server = HelperServer(path)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b'{"op": "hello", "version": 2}\n')
    await reader.readline()
    helper = server.helper
    assert helper is not None
    request = asyncio.create_task(helper.bind("127.64.0.9", 80))
    await reader.readline()
    writer.write(b'{"ok": false, "kind": "denied", "error": "Permission denied"}\n')
    with pytest.raises(DeniedError, match="Permission denied"):
        await request
    writer.close()
    await server.close()
