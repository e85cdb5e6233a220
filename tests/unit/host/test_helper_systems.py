"""What the helper does on which system, by the command lines that it would run."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.host.helper import (
    HostsFile,
    Linux,
    MacOS,
    RequestHandler,
    tell_resolver,
    this_system,
    unix_peer_uid,
)

NETWORK = ipaddress.IPv4Network("127.64.0.0/10")
ADDRESS = "127.64.0.9"
ADD = ["/sbin/ifconfig", "lo0", "alias", ADDRESS, "netmask", "255.255.255.255", "up"]
DROP = ["/sbin/ifconfig", "lo0", "-alias", ADDRESS]


class Root:
    """Notes commands; each ends with the same exit code and words."""

    def __init__(self, code: int = 0, words: bytes = b"") -> None:
        self.ran: list[list[str]] = []
        self.code, self._words = code, words

    def __call__(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        self.ran.append(command)
        return subprocess.CompletedProcess(command, self.code, None, self._words)


def handler(tmp_path: Path, root: Root, system: Linux | MacOS) -> RequestHandler:
    return RequestHandler("k", HostsFile(str(tmp_path / "hosts")), NETWORK, system, root)


def alias(helper: RequestHandler, present: bool) -> dict[str, Any]:
    reply, bound = helper.answer(json.dumps({"op": "alias", "address": ADDRESS, "present": present}).encode())
    assert bound is None
    return reply


def test_the_system_is_chosen_by_its_name() -> None:
    assert isinstance(this_system("darwin"), MacOS)
    assert isinstance(this_system("linux"), Linux)


def test_on_macos_an_address_is_added_once_and_dropped_once(tmp_path: Path) -> None:
    root = Root()
    helper = handler(tmp_path, root, MacOS())
    assert alias(helper, False) == {"ok": True}, "it was not added, so it is not ours to drop"
    assert alias(helper, True) == alias(helper, True) == {"ok": True}
    assert root.ran == [ADD]
    assert alias(helper, False) == alias(helper, False) == {"ok": True}
    assert root.ran == [ADD, DROP]
    helper.undo()
    assert root.ran == [ADD, DROP]


def test_on_macos_what_was_added_goes_at_the_end(tmp_path: Path) -> None:
    root = Root()
    helper = handler(tmp_path, root, MacOS())
    alias(helper, True)
    helper.undo()
    assert root.ran == [ADD, DROP]


def test_on_macos_a_refused_address_is_said_and_not_dropped_later(tmp_path: Path) -> None:
    root = Root(1, b"ifconfig: ioctl (SIOCAIFADDR): permission denied\n")
    helper = handler(tmp_path, root, MacOS())
    error = "ifconfig: ioctl (SIOCAIFADDR): permission denied"
    assert alias(helper, True) == {"ok": False, "kind": "denied", "error": error}
    helper.undo()
    assert root.ran == [ADD]


def test_a_command_that_hangs_is_a_failure_of_the_system_not_of_the_request(tmp_path: Path) -> None:
    def hanging(command: list[str]) -> subprocess.CompletedProcess[bytes]:
        raise subprocess.TimeoutExpired(command, 5)

    helper = RequestHandler("k", HostsFile(str(tmp_path / "hosts")), NETWORK, MacOS(), hanging)
    reply = alias(helper, True)
    assert (reply["ok"], reply["kind"]) == (False, "failed")
    assert "timed out after 5 seconds" in reply["error"]


def test_on_linux_there_is_nothing_to_add(tmp_path: Path) -> None:
    root = Root()
    helper = handler(tmp_path, root, Linux())
    assert alias(helper, True) == alias(helper, False) == {"ok": True}
    helper.undo()
    assert root.ran == []


def test_on_macos_both_caches_are_told() -> None:
    root = Root(1)  # one that cannot be told must not keep the other from hearing
    tell_resolver(MacOS(), root)
    assert root.ran == [["/usr/bin/dscacheutil", "-flushcache"], ["/usr/bin/killall", "-HUP", "mDNSResponder"]]


def test_on_linux_nscd_is_told_where_it_runs(tmp_path: Path) -> None:
    system, root = Linux(), Root()
    system.nscd = str(tmp_path / "nscd")
    tell_resolver(system, root)
    assert root.ran == []
    Path(system.nscd).touch()
    tell_resolver(system, root)
    assert root.ran == [["/usr/sbin/nscd", "-i", "hosts"]]


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("x", 5)], ids=repr)
def test_a_resolver_that_cannot_be_told_is_no_error(error: Exception) -> None:
    def fail(command: list[str]) -> subprocess.CompletedProcess[bytes]:
        raise error

    tell_resolver(MacOS(), fail)


def test_the_other_end_of_a_unix_socket_is_ours() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert unix_peer_uid(ours) == os.getuid()


def test_macos_has_the_uid_second_in_its_answer() -> None:
    class Connection:
        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            assert (level, option, size) == (0, 1, 8)
            return (0).to_bytes(4, "little") + (501).to_bytes(4, "little")

    assert MacOS().peer_uid(Connection()) == 501  # type: ignore[arg-type]
