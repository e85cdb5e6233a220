"""The helper as a real process: what it does, what it refuses, and that it undoes all of it however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kubectl_localize.host import helper

from .processes import wait_ended, with_argument

PROGRAM = helper.__file__
CONTEXT = "kind-dev-1a2b3c4d"
KEY = f"{CONTEXT}-{os.getuid()}"
HOSTS_REQUEST = {"op": "hosts", "label": "kind-dev", "lines": [{"address": "127.64.0.9", "names": ["web.shop", "web"]}]}
# The supervisor as another process or another user: accepts one helper, sends it a request, prints the reply, waits.
SUPERVISOR = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
connection, _ = listener.accept()
connection.recv(4096)
connection.sendall(b'{"ok": true}\\n')
connection.sendall(sys.argv[2].encode() + b"\\n")
print(connection.recv(4096).decode(), end="", flush=True)
sys.stdin.read()
"""


def arguments(path: Path, hosts_file: Path, **changed: str) -> list[str]:
    options = {"socket": str(path), "uid": str(os.getuid()), "key": f"{CONTEXT}-{changed.get('uid', os.getuid())}"}
    options |= {"hosts-file": str(hosts_file), "range": "127.64.0.0/10"} | changed
    return [sys.executable, "-I", PROGRAM, *(part for name, value in options.items() for part in (f"--{name}", value))]


class Supervisor:
    """The supervisor's end, by plain blocking sockets."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "helper.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(10)
        self.listener.bind(str(self.path))
        self.listener.listen()

    def start(self, hosts_file: Path, **changed: str) -> None:
        with subprocess.Popen(arguments(self.path, hosts_file, **changed), stderr=subprocess.PIPE) as process:
            self.connection, _ = self.listener.accept()
            self.connection.settimeout(10)
            hello = json.loads(self.connection.recv(4096))
            assert hello == {"op": "hello", "version": 2, "uid": os.geteuid()}
            assert process.poll() is None  # it ends only when both sides have agreed
            self.connection.sendall(b'{"ok": true}\n')
            assert process.stderr is not None
            assert (process.stderr.read(), process.wait(10)) == (b"", 0)

    def ask(self, request: object) -> tuple[dict[str, Any], list[int]]:
        return self.send(json.dumps(request).encode() + b"\n")

    def send(self, data: bytes) -> tuple[dict[str, Any], list[int]]:
        self.connection.sendall(data)
        received, descriptors, _, _ = socket.recv_fds(self.connection, 65536, 4)
        return json.loads(received), descriptors

    def process(self) -> psutil.Process:
        (process,) = with_argument(str(self.path))
        return process

    def end(self) -> None:
        """Close our direction and wait until the helper has closed its own: by then it has undone everything."""
        self.connection.shutdown(socket.SHUT_WR)
        assert self.connection.recv(1) == b""

    def close(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
        self.listener.close()


@pytest.fixture
def supervisor(short_dir: Path) -> Iterator[Supervisor]:
    server = Supervisor(short_dir)
    yield server
    server.close()


@pytest.fixture
def hosts_file(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost\r\n\xff no newline")
    path.chmod(0o640)
    return path


def test_writes_the_block_and_removes_it_when_the_socket_closes(supervisor: Supervisor, hosts_file: Path) -> None:
    before = hosts_file.read_bytes()
    supervisor.start(hosts_file)
    assert supervisor.ask(HOSTS_REQUEST) == ({"ok": True}, [])
    text = hosts_file.read_bytes()
    assert text.startswith(before + b"\n# >>> kubectl localize " + KEY.encode() + b" (kind-dev)")
    assert b"\n127.64.0.9\tweb.shop web\n" in text
    assert hosts_file.stat().st_mode & 0o777 == 0o640
    supervisor.end()
    assert hosts_file.read_bytes() == before
    assert hosts_file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(hosts_file.parent) == ["hosts"]


def test_is_a_process_of_its_own(supervisor: Supervisor, hosts_file: Path) -> None:
    supervisor.start(hosts_file)
    process = supervisor.process()
    assert os.getsid(process.pid) not in (os.getsid(0), process.pid)
    assert process.cwd() == "/"
    assert process.environ().keys() <= {"PATH", "LC_CTYPE"} or sys.platform == "linux"  # /proc shows the first one
    for number in (signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
    assert supervisor.ask(HOSTS_REQUEST)[0]["ok"]
    process.terminate()
    assert supervisor.connection.recv(1) == b""
    assert b"localize" not in hosts_file.read_bytes()


def test_a_killed_supervisor_leaves_no_helper_and_no_names(short_dir: Path, hosts_file: Path) -> None:
    path = short_dir / "helper.sock"
    command = [sys.executable, "-c", SUPERVISOR, str(path), json.dumps(HOSTS_REQUEST)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        subprocess.run(arguments(path, hosts_file), check=True, timeout=10)
        assert json.loads(process.stdout.readline()) == {"ok": True}
        assert b"web.shop" in hosts_file.read_bytes()
        running = [other for other in with_argument(str(path)) if other.pid != process.pid]
        process.kill()
    assert len(running) == 1
    assert wait_ended(*running) == []
    assert b"localize" not in hosts_file.read_bytes()


def test_binds_a_low_port_and_passes_it(supervisor: Supervisor, hosts_file: Path) -> None:
    supervisor.start(hosts_file)
    reply, descriptors = supervisor.ask({"op": "bind", "address": "127.64.7.7", "port": 81})
    if os.geteuid() != 0:
        assert (reply["ok"], reply["kind"], descriptors) == (False, "denied", [])
        return
    assert reply == {"ok": True, "fd": True}
    with socket.socket(fileno=descriptors[0]) as bound:
        assert bound.getsockname() == ("127.64.7.7", 81)
        bound.listen()
        reply, descriptors = supervisor.ask({"op": "bind", "address": "127.64.7.7", "port": 81})
        assert (reply["kind"], descriptors) == ("in-use", [])
        supervisor.end()
        with socket.create_connection(("127.64.7.7", 81), 5):
            pass  # it lives on without the helper


def test_an_alias_is_nothing_to_do_on_linux(supervisor: Supervisor, hosts_file: Path) -> None:
    supervisor.start(hosts_file)
    assert supervisor.ask({"op": "alias", "address": "127.64.7.7", "present": True})[0] == {"ok": True}
    assert supervisor.ask({"op": "alias", "address": "127.64.7.7", "present": False})[0] == {"ok": True}


def _hosts(**changed: Any) -> dict[str, Any]:
    line = {"address": "127.64.0.9", "names": ["web.shop"]} | changed
    return {"op": "hosts", "label": "l", "lines": [line]}


BAD_REQUESTS: list[Any] = [
    {"op": "exec"},
    {},
    [],
    None,
    {"op": ["hosts"]},
    {"op": "bind", "address": "127.64.0.9", "port": 0},
    {"op": "bind", "address": "127.64.0.9", "port": 1024},
    {"op": "bind", "address": "127.64.0.9", "port": "80"},
    {"op": "bind", "address": "127.64.0.9", "port": True},
    {"op": "bind", "address": "127.0.0.1", "port": 80},
    {"op": "bind", "address": "0.0.0.0", "port": 80},
    {"op": "bind", "port": 80},
    {"op": "alias", "address": "10.0.0.1", "present": True},
    {"op": "alias", "address": "127.64.0.9", "present": 1},
    {"op": "hosts", "label": "l"},
    {"op": "hosts", "label": None, "lines": []},
    {"op": "hosts", "label": "l", "lines": [1]},
    {"op": "hosts", "label": "l", "lines": [{"address": "127.64.0.9", "names": []}] * 20_001},
    _hosts(address="8.8.8.8"),
    _hosts(address="127.0.0.1"),
    _hosts(address="127.64.0.9\n10.0.0.1 evil"),
    _hosts(address=2135949321),
    _hosts(names="web"),
    _hosts(names=[1]),
    _hosts(names=["localhost"]),
    _hosts(names=["a.localhost"]),
    _hosts(names=["localhost.localdomain"]),
    _hosts(names=["ip6-localhost"]),
    _hosts(names=["broadcasthost"]),
    _hosts(names=["wpad"]),
    _hosts(names=[socket.gethostname().lower()]),
    _hosts(names=["web", socket.gethostname().lower().split(".")[0] + ".local"]),
    _hosts(names=[socket.gethostname().lower().split(".")[0] + ".local."]),
    _hosts(names=[f"n{number}" for number in range(65)]),
    _hosts(names=["a.localhost."]),
    _hosts(names=["10.1."]),
    _hosts(names=["a.b.."]),
    _hosts(names=["."]),
    _hosts(names=["Web"]),
    _hosts(names=["web shop"]),
    _hosts(names=["web\n10.0.0.1\tevil"]),
    _hosts(names=["web\n"]),
    _hosts(names=["a..b"]),
    _hosts(names=["-a"]),
    _hosts(names=["a."]),
    _hosts(names=[""]),
    _hosts(names=["é"]),
    _hosts(names=["a" * 64]),
    _hosts(names=[".".join(["a" * 49] * 6)]),
    _hosts(names=["10.1"]),
    _hosts(names=["0x7f.1"]),
]


def test_bad_requests_are_refused_and_change_nothing(supervisor: Supervisor, hosts_file: Path) -> None:
    before = hosts_file.read_bytes()
    supervisor.start(hosts_file)
    for request in BAD_REQUESTS:
        reply, descriptors = supervisor.ask(request)
        assert (reply["ok"], reply["kind"], descriptors) == (False, "bad-request", []), str(request)[:200]
        assert "\n" not in reply["error"]
    for data in (b"\n", b"{\n", b"\xff\n", b"[" * 100_000 + b"\n"):
        assert supervisor.send(data)[0]["kind"] == "bad-request"
    assert hosts_file.read_bytes() == before
    assert supervisor.ask(_hosts(names=["1.shop", "web.shop.", "a" * 63]))[0]["ok"]


def test_a_line_without_end_ends_the_helper(supervisor: Supervisor, hosts_file: Path) -> None:
    supervisor.start(hosts_file)
    supervisor.ask(HOSTS_REQUEST)
    piece = b" " * 65536
    for _ in range(helper.LINE_BYTES // len(piece) + 1):
        supervisor.connection.sendall(piece)
    assert json.loads(supervisor.connection.recv(4096))["error"] == "line too long"
    with contextlib.suppress(ConnectionResetError):  # it has not read everything: closed all the same
        assert supervisor.connection.recv(1) == b""
    assert b"localize" not in hosts_file.read_bytes()


def test_a_file_that_was_not_there_is_gone_again(supervisor: Supervisor, tmp_path: Path) -> None:
    path = tmp_path / "new"
    supervisor.start(path)
    assert supervisor.ask(HOSTS_REQUEST)[0]["ok"]
    assert path.stat().st_mode & 0o777 == 0o644
    supervisor.end()
    assert os.listdir(tmp_path) == []


def test_what_is_no_file_is_refused_at_once(supervisor: Supervisor, tmp_path: Path) -> None:
    pipe, directory = tmp_path / "pipe", tmp_path / "directory"
    os.mkfifo(pipe)
    directory.mkdir()
    for path in (pipe, directory, Path("/dev/null")):
        with pytest.raises(OSError, match=r"is no file|Permission"):
            helper.HostsFile(str(path)).replace(KEY, "a block\n")
    supervisor.start(pipe)
    reply, _ = supervisor.ask(HOSTS_REQUEST)
    assert (reply["ok"], reply["kind"]) == (False, "failed")
    assert "is no file" in reply["error"]


def test_less_text_needs_no_room_on_a_full_disk(hosts_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hosts_file.read_bytes()
    hosts = helper.HostsFile(str(hosts_file))
    hosts.replace(KEY, helper.format_block(KEY, "dev", [("127.64.0.9", ["web.shop"])]))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        hosts.replace(KEY, helper.format_block(KEY, "dev", [("127.64.0.9", ["web.shop", "web.shop.svc"])]))
    assert b"web.shop.svc" not in hosts_file.read_bytes()
    hosts.replace(KEY, "")
    assert hosts_file.read_bytes() == before
    assert list(hosts_file.parent.iterdir()) == [hosts_file]


def test_a_link_stays_a_link(supervisor: Supervisor, hosts_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("hosts")
    supervisor.start(link)
    assert supervisor.ask(HOSTS_REQUEST)[0]["ok"]
    assert link.is_symlink()
    assert b"web.shop" in hosts_file.read_bytes()
    supervisor.end()


def test_an_unchanged_block_is_not_written_again(supervisor: Supervisor, hosts_file: Path) -> None:
    supervisor.start(hosts_file)
    supervisor.ask(HOSTS_REQUEST)
    inode = hosts_file.stat().st_ino
    supervisor.ask(HOSTS_REQUEST)
    assert hosts_file.stat().st_ino == inode
    supervisor.end()


def test_two_helpers_at_once_lose_nothing(supervisor: Supervisor, hosts_file: Path, tmp_path: Path) -> None:
    before = hosts_file.read_bytes()
    (tmp_path / "second").mkdir()
    second = Supervisor(tmp_path / "second")
    supervisor.start(hosts_file)
    second.start(hosts_file, key=f"two-{os.getuid()}")
    for round_ in range(20):
        for each in (supervisor, second):
            each.connection.sendall(json.dumps(_hosts(names=[f"n{round_}.shop"])).encode() + b"\n")
        for each in (supervisor, second):
            assert json.loads(each.connection.recv(4096)) == {"ok": True}
        assert hosts_file.read_bytes().count(f"n{round_}.shop".encode()) == 2
    supervisor.end()
    second.end()
    second.close()
    assert hosts_file.read_bytes() == before


def test_a_lock_that_its_holder_removed_is_taken_anew(hosts_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock
    locked: list[int] = []

    def removing(descriptor: int, kind: int) -> None:
        if not locked:
            (lock,) = (name for name in os.listdir(hosts_file.parent) if name.endswith(".lock"))
            (hosts_file.parent / lock).rename(hosts_file.parent / "removed")
        locked.append(os.fstat(descriptor).st_ino)
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", removing)
    helper.HostsFile(str(hosts_file)).replace("k", helper.format_block("k", "l", [("127.64.0.1", ["a.b"])]))
    assert len(set(locked)) == 2
    assert sorted(os.listdir(hosts_file.parent)) == ["hosts", "removed"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"key": "../x"}, "not a context key"),
        ({"key": "a" * 65}, "not a context key"),
        ({"range": "10.0.0.0/8"}, "range"),
        ({"range": "127.0.0.0/8"}, "range"),
        ({"range": "x"}, "range"),
        ({"uid": "x"}, "uid"),
        ({"uid": "-1"}, "uid"),
        ({"socket": "/nonexistent/helper.sock"}, "cannot reach"),
    ],
)
def test_bad_arguments_are_one_line(
    supervisor: Supervisor, hosts_file: Path, changed: dict[str, str], message: str
) -> None:
    command = arguments(supervisor.path, hosts_file, **changed)
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert message in result.stderr
    assert result.stdout == ""


def test_root_acts_for_the_caller_of_sudo_only_and_on_the_systems_file_only(hosts_file: Path) -> None:
    def parse(euid: int, sudo_uid: str | None, **changed: str) -> Any:
        return helper.parse_arguments(arguments(Path("/s"), hosts_file, **changed)[3:], euid, sudo_uid)

    assert parse(0, "1000", uid="1000", **{"hosts-file": "/etc/hosts"}).hosts_file == "/etc/hosts"
    assert parse(0, None, uid="0").hosts_file == str(hosts_file)
    assert parse(1000, None, uid="1000").hosts_file == str(hosts_file)
    for euid, sudo_uid, uid, message in [
        (0, "1000", "1001", "sudo"),
        (0, "1000", "0", "sudo"),
        (0, "1000", "1000", "/etc/hosts only"),
        (0, None, "1000", "/etc/hosts only"),
        (1000, None, "1001", "own"),
    ]:
        with pytest.raises(helper.RefusedError, match=message):
            parse(euid, sudo_uid, uid=uid)


@pytest.mark.parametrize("key", [CONTEXT, f"{CONTEXT}-1001", f"{CONTEXT}-11000", f"{CONTEXT}-1000-1001"])
def test_the_managed_block_of_another_user_is_not_to_be_had(key: str) -> None:
    argv = arguments(Path("/s"), Path("/etc/hosts"), uid="1000", key=key)[3:]
    with pytest.raises(helper.RefusedError, match="not of user 1000"):
        helper.parse_arguments(argv, 0, "1000")


def test_a_link_to_the_systems_file_cannot_be_turned_elsewhere_later(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc/hosts")
    parsed = helper.parse_arguments(arguments(Path("/s"), link, uid="1000")[3:], 0, "1000")
    assert parsed.hosts_file == "/etc/hosts"


def test_a_refusing_supervisor_ends_the_start_with_its_reason(supervisor: Supervisor, hosts_file: Path) -> None:
    with subprocess.Popen(arguments(supervisor.path, hosts_file), stderr=subprocess.PIPE, text=True) as process:
        connection, _ = supervisor.listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b'{"ok": false, "error": "there is one already"}\n')
            assert process.wait(10) == 1
        assert process.stderr is not None
        assert process.stderr.read().endswith("there is one already\n")


def test_a_socket_of_another_user_is_not_trusted(supervisor: Supervisor, hosts_file: Path, other_uid: int) -> None:
    supervisor.path.parent.chmod(0o755)
    supervisor.path.chmod(0o666)
    command = arguments(supervisor.path, Path("/etc/hosts"), uid=str(other_uid))
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 1
    assert f"not of user {other_uid}" in result.stderr


def test_roots_helper_serves_an_ordinary_user_in_a_mounted_hosts_file(
    short_dir: Path, hosts_file: Path, other_uid: int
) -> None:
    """In a mount namespace of its own, where /etc/hosts is a mount point, so that it can be written in place only."""
    private = short_dir / "private"
    private.mkdir(mode=0o700)
    short_dir.chmod(0o755)
    os.chown(private, other_uid, other_uid)
    path = private / "helper.sock"
    before, inode = hosts_file.read_bytes(), hosts_file.stat().st_ino
    command = [sys.executable, "-c", SUPERVISOR, str(path), json.dumps(HOSTS_REQUEST)]
    command[0] = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else command[0]
    mounted = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts_file)]
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=other_uid, group=other_uid, cwd="/"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        start = arguments(path, Path("/etc/hosts"), uid=str(other_uid))
        environ = os.environ | {"SUDO_UID": str(other_uid)}
        subprocess.run([*mounted, *start], check=True, timeout=10, env=environ)
        assert json.loads(process.stdout.readline()) == {"ok": True}
        assert b"web.shop" in hosts_file.read_bytes()
        assert b"\n127.64.0.9\tweb.shop web\n" not in Path("/etc/hosts").read_bytes()
        running = [other for other in with_argument(str(path)) if other.pid != process.pid]
        process.kill()
    assert len(running) == 1
    assert wait_ended(*running) == []
    assert (hosts_file.read_bytes(), hosts_file.stat().st_ino) == (before, inode)
    assert pwd.getpwuid(hosts_file.stat().st_uid).pw_name == pwd.getpwuid(os.getuid()).pw_name
    assert not Path("/run/kubectl-localize-hosts.lock").exists()


def test_a_read_only_file_is_denied(tmp_path: Path, short_dir: Path, other_uid: int) -> None:
    """As an ordinary user whose hosts file belongs to root."""
    path = short_dir / "helper.sock"
    os.chown(short_dir, other_uid, other_uid)
    command = ["/usr/bin/python3", "-c", SUPERVISOR, str(path), json.dumps(HOSTS_REQUEST)]
    if not Path(command[0]).exists():
        pytest.skip("no interpreter that other users can run")
    program = short_dir / "helper.py"
    program.write_bytes(Path(PROGRAM).read_bytes())
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=other_uid, group=other_uid, cwd="/"
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = ["/usr/bin/python3", "-I", str(program), *arguments(path, Path("/etc/hosts"), uid=str(other_uid))[3:]]
        subprocess.run(start, check=True, timeout=10, user=other_uid, group=other_uid, cwd="/")
        reply = json.loads(process.stdout.readline())
        assert (reply["ok"], reply["kind"]) == (False, "denied")
        process.kill()


def test_is_stdlib_only() -> None:
    check = f"import runpy, sys; runpy.run_path({PROGRAM!r}); print('kubectl_localize' in sys.modules)"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
