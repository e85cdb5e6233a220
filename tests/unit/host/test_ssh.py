"""Keys, command lines, and ssh's last words as OpenSSH 9.2 says them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host import ssh


def argv(directory: Path, *forwards: tuple[int, str, int]) -> list[str]:
    return ssh.client_argv(
        port=40123,
        user="localize",
        identity=directory / "identity",
        known_hosts=directory / "known_hosts",
        forwards=forwards,
        host_key_alias="abc12",
    )


def effective(command: list[str]) -> dict[str, str]:
    """What ssh itself makes of a command line: `ssh -G` prints the options and connects to nothing."""
    done = subprocess.run([command[0], "-G", *command[1:]], capture_output=True, text=True, check=True)
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


def test_a_key_pair_is_private_and_belongs_together(short_dir: Path) -> None:
    pair = ssh.make_key(short_dir, "identity")
    path = short_dir / "identity"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == pair.private
    derived = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True).stdout
    assert derived.split()[:2] == pair.public.split()
    assert pair.public.startswith("ssh-ed25519 ")
    assert ssh.make_key(short_dir, "other") != pair


def test_a_key_is_never_overwritten(short_dir: Path) -> None:
    pair = ssh.make_key(short_dir, "identity")
    with pytest.raises(LocalizeError, match="ssh-keygen made no key"):
        ssh.make_key(short_dir, "identity")
    assert (short_dir / "identity").read_text() == pair.private


def test_without_openssh_the_hint_says_what_to_install(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(short_dir))
    with pytest.raises(LocalizeError, match="ssh-keygen is not in the PATH") as caught:
        ssh.make_key(short_dir, "identity")
    assert "openssh-client" in caught.value.hint


def test_ssh_understands_the_command_line(tmp_path: Path) -> None:
    options = effective(argv(tmp_path, (8080, "127.0.0.1", 3000)))
    assert options["hostname"] == "127.0.0.1"
    assert options["port"] == "40123"
    assert options["user"] == "localize"
    assert options["batchmode"] == "yes"
    assert options["identitiesonly"] == "yes"
    assert options["stricthostkeychecking"] == "true"
    assert options["globalknownhostsfile"] == "/dev/null"
    assert options["hostkeyalias"] == "abc12"
    assert options["exitonforwardfailure"] == "yes"
    assert options["serveraliveinterval"] == "5"
    assert options["serveralivecountmax"] == "3"
    assert options["controlmaster"] == "false"
    assert options["sessiontype"] == "none"
    assert options["remoteforward"] == "[*]:8080 [127.0.0.1]:3000"


def test_every_port_is_forwarded_and_an_address_of_ipv6_is_one(tmp_path: Path) -> None:
    command = argv(tmp_path, (8080, "127.0.0.1", 3000), (8443, "::1", 3443))
    assert effective(command)["remoteforward"] == "[*]:8443 [::1]:3443"  # the last one of its kind
    assert "*:8080:127.0.0.1:3000" in command


def test_odd_paths_reach_ssh_as_they_are(tmp_path: Path) -> None:
    directory = tmp_path / "a b%h"
    options = effective(argv(directory))
    assert options["userknownhostsfile"].replace("%%", "%") == str(directory / "known_hosts")
    assert options["identityfile"].replace("%%", "%") == str(directory / "identity")


def test_a_host_key_is_found_under_its_alias(short_dir: Path) -> None:
    pair = ssh.make_key(short_dir, "host")
    hosts = short_dir / "known_hosts"
    hosts.write_text(ssh.known_hosts_line("abc12", f"{pair.public}\n"))
    done = subprocess.run(["ssh-keygen", "-F", "abc12", "-f", str(hosts)], capture_output=True, text=True, check=True)
    assert pair.public.split()[1] in done.stdout


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (["Error: remote port forwarding failed for listen port 8081"], "remote port 8081 is still taken"),
        (
            [
                "No ED25519 host key is known for exposure and you have requested strict checking.",
                "Host key verification failed.",
            ],
            "the host key does not match",
        ),
        (
            ["localize@127.0.0.1: Permission denied (publickey)."],
            "the exposure pod does not accept the session's key",
        ),
        (["ssh: connect to host 127.0.0.1 port 1: Connection refused"], "connection refused"),
        (["Connection to 127.0.0.1 closed by remote host."], "connection closed"),
        (["Timeout, server 127.0.0.1 not responding."], "no answer"),
        (["Connection timed out during banner exchange", "Connection to 127.0.0.1 port 33337 timed out"], "no answer"),
        (
            [
                "Error: remote port forwarding failed for listen port 8081",
                "Connection to 127.0.0.1 closed by remote host.",
            ],
            "connection closed",  # the last one is why it ended
        ),
        (
            ["channel 0: open failed: connect failed: open failed", ""],
            "ssh: channel 0: open failed: connect failed: open failed",
        ),
        ([], "ssh ended and said nothing"),
    ],
)
def test_the_last_words_become_a_short_reason(stderr: list[str], reason: str) -> None:
    assert ssh.explain(stderr) == reason
