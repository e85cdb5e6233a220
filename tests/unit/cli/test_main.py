"""Failures in words, and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.main import guarded, is_sudo, main
from kubectl_localize.errors import LocalizeError, UsageError


def _raises(error: BaseException) -> Callable[[Arguments], int]:
    def command(_: Arguments) -> int:
        raise error

    return command


def _parsed(args: Arguments, _: Sequence[str]) -> Arguments:
    return args


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [
        (LocalizeError("it broke", "mend it"), 1, "error: it broke\nhint: mend it\n"),
        (LocalizeError("it broke"), 1, "error: it broke\n"),
        (UsageError("no such thing", "see -h"), 2, "error: no such thing\nhint: see -h\n"),
        (KeyboardInterrupt(), 130, ""),
        (ZeroDivisionError("by zero"), 1,
         "error: internal error: ZeroDivisionError: by zero\nhint: run it again with -vv and report what it shows\n"),
        (BrokenPipeError(32, "not of stdout"), 1,
         "error: internal error: BrokenPipeError: [Errno 32] not of stdout\n"
         "hint: run it again with -vv and report what it shows\n"),
    ],
)  # fmt: skip
def test_failures(error: BaseException, code: int, stderr: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert guarded([], lambda _: Arguments(), _raises(error)) == code
    assert capfd.readouterr() == ("", stderr)


@pytest.mark.parametrize("error", [LocalizeError("it broke"), ZeroDivisionError("it broke")])
def test_a_stack_trace_needs_vv(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    for verbosity in (1, 2):
        args = Arguments(verbosity=verbosity)
        guarded([], partial(_parsed, args), _raises(error))
        assert ("Traceback" in capsys.readouterr().err) == (verbosity == 2)


def test_the_commands_code_is_ours() -> None:
    assert guarded(["x"], lambda _: Arguments(), lambda _: 7) == 7


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (0, {"SUDO_UID": "1000"}, True),
        (0, {"SUDO_UID": "0"}, False),
        (0, {"SUDO_UID": ""}, False),
        (0, {}, False),
        (1000, {"SUDO_UID": "1000"}, False),
    ],
)
def test_is_sudo(uid: int, environ: dict[str, str], expected: bool) -> None:
    assert is_sudo(uid, environ) is expected


def test_sudo_is_refused_but_may_read_the_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1000")
    assert main(["ls"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: kubectl localize does not run under sudo\nhint: run it as yourself"
    )
    assert main(["-h"]) == 0
    assert capsys.readouterr().out.startswith("usage: kubectl localize ")


def test_wrong_usage_from_the_outside(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--wach"]) == 2
    assert capsys.readouterr() == ("", "error: unknown flag --wach\nhint: did you mean --watch?\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_failure(tmp_path: Path, unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environ = {**os.environ, "KUBECTL_LOCALIZE_HOME": str(tmp_path), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "kubectl_localize", "ls", "-o", "json"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environ, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("ls",), ("ls", "-o", "json"), ("--help",)], ids=" ".join)
def test_a_full_disk_is_said_in_a_sentence(words: tuple[str, ...], unbuffered: str, tmp_path: Path) -> None:
    environ = {**os.environ, "KUBECTL_LOCALIZE_HOME": str(tmp_path), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "kubectl_localize", *words]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environ, check=False, timeout=60)
    if words == ("ls",):  # nothing runs, and nothing is written
        assert b"Traceback" not in done.stderr
    else:
        said = b"error: the output cannot be written: No space left on device\nhint: is the disk full?\n"
        assert (done.returncode, done.stderr) == (1, said)


def test_a_current_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    environ = {**os.environ, "KUBECTL_LOCALIZE_HOME": str(tmp_path)}
    away = f'mkdir -p {gone}; cd {gone} && rmdir {gone} && exec "$@"'
    command = ["sh", "-c", away, "sh", sys.executable, "-P", "-m", "kubectl_localize"]
    done = subprocess.run([*command, "-d", "--kubeconfig", "relative"], capture_output=True, env=environ, check=False)
    assert done.returncode == 1
    assert done.stderr == b"error: the current directory does not exist any more\nhint: `cd` to one that does\n"
    assert subprocess.run([*command, "ls"], capture_output=True, env=environ, check=False).returncode == 0


def test_a_watch_ends_with_its_reader(tmp_path: Path) -> None:
    environ = {**os.environ, "KUBECTL_LOCALIZE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "kubectl_localize", "ls", "-w", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as watching:
        assert watching.stdout is not None
        assert b'"items": []' in watching.stdout.readline()
        watching.stdout.close()
        assert watching.wait(30) == 0


def test_ctrl_c_before_there_is_a_command_is_quiet() -> None:
    code = """
import sys
from kubectl_localize.cli.main import main
class Interrupted:
    def find_spec(self, name, *_):
        if name == "kubectl_localize.cli.arguments": raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
sys.exit(main(["ls"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ls_imports_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom kubectl_localize.cli.main import main\ncode = main(['ls', '-o', 'json'])\n"
        "heavy = {'sh', 'yaml', 'psutil', 'tabulate', 'argcomplete', 'asyncio', 'difflib', 'subprocess', 'socket'}\n"
        "print(sorted(heavy & set(sys.modules)), code, file=sys.stderr)"
    )
    environ = {**os.environ, "KUBECTL_LOCALIZE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environ, check=True, timeout=60)
    assert done.stderr == b"[] 0\n"
