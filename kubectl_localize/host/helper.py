"""The privileged helper: writes one context's managed block, binds low loopback ports, and undoes it all at its end.

It is a lone file that imports only the standard library, so that ``python3 -I`` (3.8 or later) can run a root-owned
copy. It meets the supervisor at a Unix socket, where both check each other's uid, and then leaves the terminal's
session. Requests and replies are JSON objects, one a line::

    {"op": "hosts", "label": "kind-dev", "lines": [{"address": "127.71.4.19", "names": ["web.shop"]}]}
    {"op": "bind", "address": "127.71.4.19", "port": 80}          the descriptor comes with the reply ("fd": true)
    {"op": "alias", "address": "127.71.4.19", "present": true}    macOS; nothing to do on Linux
    {"ok": true}   or   {"ok": false, "kind": "denied", "error": "Permission denied"}

Kinds of error are ``denied``, ``in-use``, ``bad-request`` and ``failed``. When the socket closes, or on SIGTERM, the
managed block and the aliases go and the helper ends.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import ipaddress
import json
import os
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import argparse

PROTOCOL = 2  # 2: names may end with a dot
SYSTEM_HOSTS = "/etc/hosts"
LINE_BYTES = 16 * 1024 * 1024
MOST_LINES = 20_000
MOST_NAMES = 64  # of a line; the product gives an address six
HANDSHAKE_SECONDS = 10.0
SEND_SECONDS = 30.0
LOCK_SECONDS = 5.0
HOSTS_LINE_BYTES = 499  # musl reads lines of 512 bytes; the newline counts

_KEY = re.compile(r"[a-z0-9-]{1,64}")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?((\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+\.?)?")
# What systems call their own loopback, link-local and broadcast addresses (hosts(5) of Debian, Fedora and macOS).
_LOCAL_NAMES = frozenset(
    [
        "localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6",
        "localhost6.localdomain6", "ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes",
        "ip6-allrouters", "ip6-allhosts", "broadcasthost",
    ]
)  # fmt: skip
# What systems look up by themselves, to be told which proxy or router all of their traffic goes through.
_TRUSTED_NAMES = frozenset(["wpad", "isatap"])
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
_RESERVED = ipaddress.IPv4Network("127.0.0.0/16")
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_RENAME = (errno.EBUSY, errno.EXDEV, *_DENIED)


# What differs between Linux and macOS, all of it, as command lines and calls. The rest of the package has
# `kubectl_localize.host.system` for that, which this file cannot import.


class Linux:
    """Loopback answers on all of 127.0.0.0/8 as it is, and glibc reads the hosts file anew by itself."""

    nscd = "/run/nscd/socket"

    def resolver_commands(self) -> list[list[str]]:
        """Return the commands that make caches forget what the hosts file said."""
        return [["/usr/sbin/nscd", "-i", "hosts"]] if os.path.exists(self.nscd) else []

    def alias_commands(self, address: str, present: bool) -> list[list[str]]:
        """Return the commands that add an address to loopback or drop it."""
        return []

    def peer_uid(self, connection: socket.socket) -> int:
        """Return the uid of the process at the other end of a Unix socket (SO_PEERCRED, unix(7): pid, uid, gid)."""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("iII", raw)[1])


class MacOS:
    """lo0 has 127.0.0.1 only, and mDNSResponder keeps what it has read. Nobody has run this yet."""

    def resolver_commands(self) -> list[list[str]]:
        """Return the commands that make caches forget what the hosts file said."""
        return [["/usr/bin/dscacheutil", "-flushcache"], ["/usr/bin/killall", "-HUP", "mDNSResponder"]]

    def alias_commands(self, address: str, present: bool) -> list[list[str]]:
        """Return the commands that add an address to loopback or drop it."""
        ifconfig = ["/sbin/ifconfig", "lo0"]
        if present:
            return [[*ifconfig, "alias", address, "netmask", "255.255.255.255", "up"]]
        return [[*ifconfig, "-alias", address]]

    def peer_uid(self, connection: socket.socket) -> int:
        """Return the uid of the process at the other end of a Unix socket (LOCAL_PEERCRED: version, uid, groups)."""
        sol_local, local_peercred = 0, 1
        return int(struct.unpack("=II", connection.getsockopt(sol_local, local_peercred, 8))[1])


def this_system(platform: str = sys.platform) -> Linux | MacOS:
    """Return the system with this name, as `sys.platform` has it; any but macOS is taken for a Linux."""
    return MacOS() if platform == "darwin" else Linux()


def run_command(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the system's to its end; return its exit code and stderr.

    Raises:
        OSError: the command cannot be started.
        subprocess.TimeoutExpired: it took more than five seconds.
    """
    null = subprocess.DEVNULL
    return subprocess.run(command, stdin=null, stdout=null, stderr=subprocess.PIPE, timeout=5, check=False)


def tell_resolver(
    system: Linux | MacOS, run: Callable[[list[str]], subprocess.CompletedProcess[bytes]] = run_command
) -> None:
    """Make caches forget what the hosts file said; a failure is ignored, since the cache expires by itself."""
    for command in system.resolver_commands():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            run(command)


# The text of a hosts file. Pure functions; `kubectl_localize.host.hosts` has them from here.

_BEGIN = re.compile(r"# >>> kubectl localize ([a-z0-9-]{1,64})( .*)?")
_END = re.compile(r"# <<< kubectl localize ([a-z0-9-]{1,64})( .*)?")
_ENTRY = re.compile(r"127(\.\d{1,3}){3}\t[a-z0-9.-]+( [a-z0-9.-]+)*")
_NEWLINE_ADDED = " (newline added before)"


def begin_key(line: str) -> str | None:
    """Return the key of the managed block that begins with this line, or None."""
    match = _BEGIN.fullmatch(line.rstrip("\r\n"))
    return match.group(1) if match else None


def end_key(line: str) -> str | None:
    """Return the key of the managed block that ends with this line, or None."""
    match = _END.fullmatch(line.rstrip("\r\n"))
    return match.group(1) if match else None


def split_lines(text: str) -> list[str]:
    """Return the lines with their newlines; only a line feed ends a line, unlike in str.splitlines."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def format_block(key: str, label: str, entries: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return the managed block: a begin marker, one line or more for each address, an end marker.

    It is ASCII, and every line is shorter than 500 bytes: an address with many names gets several lines. Without names
    it is empty.

    Args:
        key: the context's key, which the markers name.
        label: what people call the context, for the begin marker.
        entries: addresses and their names.
    """
    lines = []
    for address, names in entries:
        line = address + "\t"
        for name in names:
            if not line.endswith("\t") and len(line) + len(name) + 2 > HOSTS_LINE_BYTES:
                lines.append(line)
                line = address + "\t"
            line += name if line.endswith("\t") else " " + name
        if names:
            lines.append(line)
    if not lines:
        return ""
    shown = re.sub(r"[^ -~]", "?", label)[:200]
    begin = f"# >>> kubectl localize {key} ({shown}) removed when it stops >>>"
    return "\n".join([begin, *lines, f"# <<< kubectl localize {key} <<<", ""])


def replace_block(text: str, key: str, block: str) -> str:
    """Return the text without this key's managed block, and with the new one at its end.

    All else stays byte for byte. If the text had no newline at its end, one is added and the begin marker says so; it
    goes again with the block, unless others have added text after it.

    Args:
        text: the hosts file.
        key: whose block.
        block: the new block; empty if there is to be none.
    """
    text = _without_block(text, key)
    if block and text and not text.endswith("\n"):
        begin, rest = block.split("\n", 1)
        return text + "\n" + begin + _NEWLINE_ADDED + "\n" + rest
    return text + block


def _without_block(text: str, key: str) -> str:
    while (begin := _marker_at(text, "# >>> kubectl localize ", begin_key, key)) >= 0:
        end = _block_end(text, begin, key)
        first, *lines = split_lines(text[begin:end])
        inside = "".join(line for line in lines if end_key(line) != key and not is_entry(line))
        before, after = text[:begin], text[end:]
        if before and first.rstrip("\r\n").endswith(_NEWLINE_ADDED) and not inside:
            next_line, _, rest = after.partition("\n")
            if not after:
                before = before[:-1]
            elif begin_key(next_line) is not None:
                # The newline before us is now the newline before that block, which has to remember it.
                after = next_line.rstrip("\r\n") + _NEWLINE_ADDED + "\n" + rest
        text = before + inside + after
    return text


def _marker_at(text: str, prefix: str, key_of: Callable[[str], str | None], key: str | None, start: int = 0) -> int:
    """Return where the first marker line begins, -1 if there is none. A long file is searched, never split into lines.

    Args:
        text: the hosts file.
        prefix: what a marker line begins with.
        key_of: the key in a marker line.
        key: whose marker; None for anybody's.
        start: where to begin, at a line's first character.
    """
    at = text.find(prefix + (key or ""), start)
    while at >= 0:
        line = text[at : _line_end(text, at)]
        if (at == 0 or text[at - 1] == "\n") and (key_of(line) == key if key else key_of(line) is not None):
            return at
        at = text.find(prefix + (key or ""), at + 1)
    return -1


def _line_end(text: str, start: int) -> int:
    """Return the index after the newline of the line that `start` is in."""
    return text.find("\n", start) + 1 or len(text)


def _block_end(text: str, begin: int, key: str) -> int:
    """Return the index after the block's last line; without an end marker, after the entries that follow at once."""
    inside = _line_end(text, begin)
    end = _marker_at(text, "# <<< kubectl localize ", end_key, key, inside)
    if end >= 0 and _marker_at(text[inside:end], "# >>> kubectl localize ", begin_key, None) < 0:
        return _line_end(text, end)
    end = inside
    while end < len(text) and is_entry(text[end : _line_end(text, end)]):
        end = _line_end(text, end)
    return end


def is_entry(line: str) -> bool:
    """Whether a line of a managed block is one of ours."""
    return _ENTRY.fullmatch(line.rstrip("\r\n")) is not None


# The hosts file itself.


class HostsFile:
    """The file that `path` leads to, changed under a lock and kept with its owner and mode."""

    def __init__(self, path: str) -> None:
        self._system = this_system()
        self._path = os.path.realpath(path)
        self._existed = os.path.lexists(self._path)
        self._is_system = self._path == os.path.realpath(SYSTEM_HOSTS)

    def replace(self, key: str, block: str) -> None:
        """Replace the key's old block by this one; the file is written only if that changes it.

        Raises:
            OSError: the file cannot be read, locked or written.
        """
        with self._locked():
            old = self._read()
            new = replace_block(old.decode("utf-8", "surrogateescape"), key, block).encode("utf-8", "surrogateescape")
            if new == old:
                return
            if not new and not self._existed:
                os.unlink(self._path)
            else:
                self._write(old, new)
        if self._is_system:
            tell_resolver(self._system)

    def _read(self) -> bytes:
        try:
            # O_NONBLOCK: nobody may ever write to a pipe.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return b""
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, f"{self._path} is no file")
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def _write(self, old: bytes, new: bytes) -> None:
        try:
            self._rename_over(new)
        except OSError as error:
            # On a full disk there is no room for a second file; but less text needs no more room than there was.
            shrinks_on_full_disk = error.errno in _NO_ROOM and len(new) <= len(old)
            if error.errno not in _NO_RENAME and not shrinks_on_full_disk:
                raise
            self._overwrite(old, new)

    def _rename_over(self, new: bytes) -> None:
        name = f".{os.path.basename(self._path)}.{os.urandom(8).hex()}"
        temporary = os.path.join(os.path.dirname(self._path), name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(new)
                file.flush()
                self._keep_attributes(descriptor)
                os.fsync(descriptor)
            os.rename(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise

    def _keep_attributes(self, descriptor: int) -> None:
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            os.fchmod(descriptor, 0o644)
            return
        os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, status.st_mode & 0o7777)
        if hasattr(os, "listxattr"):
            with contextlib.suppress(OSError):  # SELinux's label among them
                for name in os.listxattr(self._path):
                    os.setxattr(descriptor, name, os.getxattr(self._path, name))

    def _overwrite(self, old: bytes, new: bytes) -> None:
        """Write in place: for a file that is a mount point, or in a directory that may not be written to."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            try:
                _write_all(file.fileno(), new)
            except OSError:  # disk full: the old content is sure to fit
                _write_all(file.fileno(), old)
                raise

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock that all helpers for this file share; root's is in /run, where only root can make files."""
        if os.geteuid() == 0 and self._is_system and os.path.isdir("/run"):
            path = "/run/kubectl-localize-hosts.lock"
        else:
            directory, name = os.path.split(self._path)
            path = os.path.join(directory, f".{name}.kubectl-localize.lock")
        try:
            descriptor = _lock(path)
        except OSError as error:
            if error.errno not in _DENIED:
                raise
            # No rename is possible in that directory, so the hosts file itself can be locked.
            descriptor = _lock(self._path)
            path = ""
        try:
            yield
        finally:
            if path:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], done)
    os.ftruncate(descriptor, len(data))


def _lock(path: str) -> int:
    """Return a descriptor of the locked file.

    Its last holder may have removed the file before we got the lock, so the name is compared after locking.

    Raises:
        OSError: the file cannot be opened, or another program holds the lock for too long.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False)):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise OSError(errno.EAGAIN, "the hosts file is locked by another program")
        time.sleep(0.002)


# Requests.


class BadRequestError(Exception):
    """The supervisor asks for something that the helper does not do."""


def parse_range(text: str) -> ipaddress.IPv4Network:
    """Return the network that addresses may come from.

    Raises:
        BadRequestError: it is no IPv4 network within 127.0.0.0/8 and outside 127.0.0.0/16.
    """
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise BadRequestError(f"not an IPv4 range: {text}") from error
    if not network.subnet_of(_LOOPBACK) or network.overlaps(_RESERVED):
        raise BadRequestError(f"the range {text} is not within 127.0.0.0/8 and outside 127.0.0.0/16")
    return network


def check_name(name: Any) -> str:
    """Return the name if it may stand in a hosts file; `machine_names` are to be kept out besides.

    Several labels may end with a dot: glibc compares names letter by letter.

    Raises:
        BadRequestError: it is no DNS name in lower case, or it is localhost or an address.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadRequestError(f"not a DNS name in lower case: {name!r}"[:300])
    bare = name[:-1] if name.endswith(".") else name
    if bare in _LOCAL_NAMES or bare.endswith(".localhost"):
        raise BadRequestError("localhost is never redirected")
    if name in _TRUSTED_NAMES:
        raise BadRequestError(f"{name} is never redirected: systems let it say where their traffic goes")
    if name[0].isdigit() and _is_address(bare):
        raise BadRequestError(f"an address, not a name: {name}")
    return name


def machine_names() -> set[str]:
    """Return what this machine is called, in lower case; it may change while it runs."""
    own = socket.gethostname().lower()
    short = own.split(".")[0]
    return {name for name in (own, short, f"{short}.local", f"{short}.localdomain") if not name.startswith(".")}


def _is_address(name: str) -> bool:
    """Whether resolvers take the name for an address; they also take `10.1` and `0x7f.1` for one."""
    try:
        socket.inet_aton(name)
    except OSError:
        return False
    return True


class RequestHandler:
    """Does what one supervisor may ask for, and undoes it when the supervisor is gone.

    Args:
        key: the context's key.
        hosts: the hosts file.
        network: what addresses may be bound, named and aliased.
        system: the operating system.
        run: runs a command of the system's.
    """

    def __init__(
        self,
        key: str,
        hosts: HostsFile,
        network: ipaddress.IPv4Network,
        system: Linux | MacOS,
        run: Callable[[list[str]], subprocess.CompletedProcess[bytes]] = run_command,
    ) -> None:
        self._system = system
        self._run = run
        self._key = key
        self._hosts = hosts
        self._network = network
        self._aliases: set[str] = set()

    def answer(self, line: bytes) -> tuple[dict[str, Any], socket.socket | None]:
        """Do what a request asks for.

        Returns:
            The reply, which tells errors as well, and the socket to pass with it.
        """
        try:
            bound = self._do(json.loads(line.decode("utf-8")))
        except BadRequestError as error:
            return _refusal("bad-request", str(error)), None
        except OSError as error:
            kind = "denied" if error.errno in _DENIED else "in-use" if error.errno == errno.EADDRINUSE else "failed"
            return _refusal(kind, error.strerror or str(error)), None
        except subprocess.SubprocessError as error:
            return _refusal("failed", str(error)), None
        except Exception as error:  # malformed in a way that nobody thought of: still a reply, never a traceback
            return _refusal("bad-request", f"malformed request ({type(error).__name__})"), None
        return ({"ok": True}, None) if bound is None else ({"ok": True, "fd": True}, bound)

    def _do(self, request: Any) -> socket.socket | None:
        if not isinstance(request, dict):
            raise BadRequestError("a request is an object")
        operation = request.get("op")
        if operation == "bind":
            return self._bind(self._address(request), request.get("port"))
        if operation == "hosts":
            self._write_hosts(request.get("label"), request.get("lines"))
        elif operation == "alias":
            self._alias(self._address(request), request.get("present"))
        else:
            raise BadRequestError("unknown operation")
        return None

    def _address(self, item: Any) -> str:
        text = item.get("address") if isinstance(item, dict) else None
        try:
            address = ipaddress.IPv4Address(text if isinstance(text, str) else "")
        except ValueError as error:
            raise BadRequestError(f"not an IPv4 address: {text!r}"[:300]) from error
        if address not in self._network:
            raise BadRequestError(f"{address} is outside {self._network}")
        return str(address)

    def _bind(self, address: str, port: Any) -> socket.socket:
        if type(port) is not int or not 1 <= port <= 1023:
            raise BadRequestError("only ports 1 to 1023 are bound for others")
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address, port))
        except BaseException:
            bound.close()
            raise
        return bound

    def _write_hosts(self, label: Any, lines: Any) -> None:
        if not isinstance(label, str) or not isinstance(lines, list) or len(lines) > MOST_LINES:
            raise BadRequestError(f"hosts takes a label and a list of at most {MOST_LINES} lines")
        own_names = machine_names()
        entries = []
        for line in lines:
            address = self._address(line)
            names = line.get("names")
            if not isinstance(names, list) or len(names) > MOST_NAMES:
                raise BadRequestError(f"names is a list of at most {MOST_NAMES}")
            if not own_names.isdisjoint(check_name(name).rstrip(".") for name in names):
                raise BadRequestError("a name of this machine's own is never redirected")
            entries.append((address, names))
        self._hosts.replace(self._key, format_block(self._key, label, entries))

    def _alias(self, address: str, present: Any) -> None:
        if not isinstance(present, bool):
            raise BadRequestError("present is true or false")
        if present:
            if address not in self._aliases:
                self._change_loopback(address, present=True)
                self._aliases.add(address)
        elif address in self._aliases:
            self._change_loopback(address, present=False)
            self._aliases.discard(address)

    def _change_loopback(self, address: str, *, present: bool) -> None:
        for command in self._system.alias_commands(address, present):
            result = self._run(command)
            if result.returncode != 0:
                raise OSError(errno.EPERM, result.stderr.decode("utf-8", "replace").strip()[:300])

    def undo(self) -> None:
        """Remove the managed block and the aliases; one failure never skips the rest."""
        with contextlib.suppress(OSError):
            self._hosts.replace(self._key, "")
        for address in sorted(self._aliases):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                self._change_loopback(address, present=False)


def _refusal(kind: str, error: str) -> dict[str, Any]:
    return {"ok": False, "kind": kind, "error": error}


# Meeting the supervisor.


class RefusedError(Exception):
    """The helper cannot start; people see the message as one line."""


def unix_peer_uid(connection: socket.socket) -> int:
    """Return the uid of the process at the other end of a Unix socket."""
    return this_system().peer_uid(connection)


def connect(path: str, uid: int) -> socket.socket:
    """Connect to the supervisor.

    Args:
        path: the Unix socket that it listens on.
        uid: the supervisor's.

    Raises:
        RefusedError: nobody listens there, or a process of another user does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(HANDSHAKE_SECONDS)
    switch = os.geteuid() == 0 and uid != 0
    try:
        if switch:
            os.seteuid(uid)  # reach what the user can reach: no more, and no less (root is nobody on NFS)
        # Through the directory, as the path may be longer than a socket's address.
        os.chdir(os.path.dirname(path) or ".")
        connection.connect(os.path.basename(path))
    except OSError as error:
        raise RefusedError(f"cannot reach kubectl localize at {path}: {error.strerror or error}") from error
    finally:
        if switch:
            os.seteuid(0)
        os.chdir("/")
    if unix_peer_uid(connection) != uid:
        raise RefusedError(f"the process that listens at {path} is not of user {uid}")
    return connection


def shake_hands(connection: socket.socket) -> None:
    """Say hello and wait until the supervisor accepts.

    Raises:
        RefusedError: it does not accept this helper.
    """
    hello = {"op": "hello", "version": PROTOCOL, "uid": os.geteuid()}
    received = b""
    try:
        connection.sendall(json.dumps(hello).encode() + b"\n")
        while not received.endswith(b"\n") and len(received) < 4096:
            piece = connection.recv(1)  # what follows the newline is the first request
            if not piece:
                break
            received += piece
        reply = json.loads(received.decode("utf-8"))
        accepted, reason = reply["ok"] is True, reply.get("error", "refused")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RefusedError("kubectl localize did not accept its helper") from error
    if not accepted:
        raise RefusedError(f"kubectl localize did not accept its helper: {reason}")


def leave_terminal(keep: int) -> None:
    """Go on as a process in a session of its own; the process that called this ends with 0.

    Args:
        keep: the only descriptor that stays open.
    """
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)  # sudo hangs up the terminal's session when we end: be out of it by then
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.umask(0o022)
    os.environ.clear()
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) != keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def serve(connection: socket.socket, handler: RequestHandler, stop: int) -> None:
    """Answer requests until the supervisor is gone.

    Args:
        connection: to the supervisor.
        handler: answers the requests.
        stop: a descriptor that becomes readable when this process is to end.

    Raises:
        OSError: the connection is broken.
    """
    connection.settimeout(SEND_SECONDS)
    pending = bytearray()
    while True:
        watched: list[Any] = [connection, stop]
        ready = select.select(watched, [], [])[0]
        if stop in ready:
            return
        data = connection.recv(65536)
        if not data:
            return
        pending += data
        if len(pending) > LINE_BYTES:
            _send(connection, _refusal("bad-request", "line too long"), None)
            return
        if b"\n" in data:
            *lines, rest = bytes(pending).split(b"\n")
            pending = bytearray(rest)
            for line in lines:
                _send(connection, *handler.answer(line))


def _send(connection: socket.socket, reply: dict[str, Any], bound: socket.socket | None) -> None:
    data = json.dumps(reply).encode() + b"\n"
    if bound is not None:
        with bound:
            rights = array.array("i", [bound.fileno()])
            sent = connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        data = data[sent:]
    connection.sendall(data)


# Start.


def parse_arguments(argv: Sequence[str], euid: int, sudo_uid: str | None) -> argparse.Namespace:
    """Parse the command line, and check that root acts only on what this user may have changed.

    Args:
        argv: without the program's name.
        euid: the effective user.
        sudo_uid: who called sudo, as sudo says in SUDO_UID.

    Raises:
        RefusedError: an argument is missing, or the uid, key or hosts file is not this user's to choose.
        BadRequestError: the range is none.
    """
    import argparse  # here, since supervisors import this file, too, and parse nothing

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise RefusedError(message)

    parser = Parser(prog="kubectl-localize helper", allow_abbrev=False)
    for name in ("--socket", "--key", "--hosts-file", "--range"):
        parser.add_argument(name, required=True)
    parser.add_argument("--uid", type=int, required=True)
    arguments = parser.parse_args(argv)
    if not _KEY.fullmatch(arguments.key):
        raise RefusedError(f"not a context key: {arguments.key!r}")
    if arguments.uid < 0 or (euid != 0 and arguments.uid != euid):
        raise RefusedError("--uid must be the caller's own")
    if euid == 0 and sudo_uid is not None and sudo_uid != str(arguments.uid):
        raise RefusedError("--uid must be the user's who called sudo")
    if not arguments.key.endswith(f"-{arguments.uid}"):  # so that nobody changes another user's managed block
        raise RefusedError(f"the context key {arguments.key} is not of user {arguments.uid}")
    arguments.hosts_file = os.path.abspath(arguments.hosts_file)
    if euid == 0 and arguments.uid != 0:
        if os.path.realpath(arguments.hosts_file) != os.path.realpath(SYSTEM_HOSTS):
            raise RefusedError(f"root writes {SYSTEM_HOSTS} only")
        arguments.hosts_file = SYSTEM_HOSTS  # the user may turn a link of theirs to another file from now on
    arguments.network = parse_range(arguments.range)
    return arguments


def main(argv: Sequence[str]) -> int:
    """Start the helper.

    Returns:
        The exit code: 0 once it is connected and lives on by itself, else 1, with a line on stderr.
    """
    try:
        arguments = parse_arguments(argv, os.geteuid(), os.environ.get("SUDO_UID"))
        connection = connect(arguments.socket, arguments.uid)
        shake_hands(connection)
    except (RefusedError, BadRequestError, OSError) as error:
        print(f"kubectl-localize helper: {error}".replace("\n", " "), file=sys.stderr)
        return 1
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    leave_terminal(keep=connection.fileno())
    # A signal handler that raises could cut a write in two: this handler only wakes the loop.
    stop, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    handler = RequestHandler(arguments.key, HostsFile(arguments.hosts_file), arguments.network, this_system())
    try:
        with contextlib.suppress(OSError):
            serve(connection, handler, stop)
    finally:
        handler.undo()
        connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
