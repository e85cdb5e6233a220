"""A command as a job: real processes, in a real pseudo-terminal where the terminal matters."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from kubectl_localize.cli.job import Command, check
from kubectl_localize.errors import LocalizeError
from tests.real.terminal import Terminal

SECONDS = 20.0
STOPPED = "until jobs %1 | grep Stopped; do sleep 0.01; done; echo 'it has' stopped"  # not as it is echoed

# What `expose … -- COMMAND` does with it: waits for it in a select, and says how it went, and whose the terminal is.
RUNNER = """
import os, select, sys
from kubectl_localize.cli.job import Command
command = Command(sys.argv[1:], os.environ)
command.start()
print("runner", os.getpid(), flush=True)
while (code := command.poll()) is None:
    select.select([command], [], [])
def whose():
    try:
        return "ours" if os.tcgetpgrp(0) == os.getpgrp() else "not ours"
    except OSError:
        return "none"
print("ended with", code, "terminal", whose(), flush=True)
if len(sys.argv) > 2 and sys.argv[-1] == "ask":
    print("typed", repr(input()), flush=True)
"""


def python(code: str) -> list[str]:
    """Python without PYTHONUNBUFFERED, which would write each word of a line by itself."""
    return [sys.executable, "-E", "-c", code]


def run(argv: Sequence[str], **environment: str) -> int | None:
    command = Command(argv, {**os.environ, **environment})
    command.start()
    return command.wait(SECONDS)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals to be closed at the end, with all that still runs in them."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()
        end_session(terminal.process.pid)


@pytest.fixture
def sessions() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that lead a session of their own; with each its whole session ends, also if the test fails."""
    leaders: list[subprocess.Popen[str]] = []
    yield leaders
    for leader in leaders:
        end_session(leader.pid)
        leader.communicate()


@pytest.fixture
def hangup_ends() -> Iterator[None]:
    """SIGHUP does what it does by default, for children as well: under nohup it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def end_session(leader: int) -> None:
    """Kill what is in the session of this process: a command that a test was about to end is a loop."""
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                os.kill(process.pid, signal.SIGKILL)


def in_terminal(terminals: list[Terminal], argv: Sequence[str]) -> Terminal:
    """The runner with this command, alone in a terminal."""
    terminals.append(Terminal([*python(RUNNER), *argv], os.environ))
    return terminals[-1]


# -- what may be run --------------------------------------------------------------------------------------------------
def test_check_finds_what_a_shell_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check(["program", "x"]) == str(program)
    assert check([str(program)]) == str(program)
    monkeypatch.chdir(tmp_path)
    assert check(["./program"]) == "./program"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere-to-be-found", "nowhere-to-be-found: command not found"),
        ("./none", "./none: No such file or directory"),
        ("./directory", "./directory: Is a directory"),
        ("./plain", "./plain: Permission denied"),
        ("", ": command not found"),
    ],
)
def test_check_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "plain").touch(0o600)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LocalizeError) as raised:
        Command([name], {})
    assert (raised.value.message, raised.value.exit_code) == (message, 1)


def test_what_the_system_refuses_leaves_everything_as_it_was(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo without a first line\n")
    script.chmod(0o755)
    before = signal.getsignal(signal.SIGTERM), len(os.listdir("/dev/fd"))
    command = Command([str(script)], {})
    with pytest.raises(LocalizeError, match="Exec format error") as raised:
        command.start()
    assert "#!/bin/sh" in raised.value.hint
    assert (signal.getsignal(signal.SIGTERM), len(os.listdir("/dev/fd"))) == before


# -- without a terminal -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_exit_codes(script: str, code: int) -> None:
    assert run(["sh", "-c", script]) == code


def test_poll_keeps_its_answer_and_everything_is_as_it_was() -> None:
    signals = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD, signal.SIGCONT
    before = [signal.getsignal(number) for number in signals], len(os.listdir("/dev/fd"))
    command = Command(["sh", "-c", "exit 3"], os.environ)
    assert command.poll() is None
    command.start()
    assert command.wait(SECONDS) == 3
    assert command.poll() == command.wait() == command.end(0) == 3
    assert ([signal.getsignal(number) for number in signals], len(os.listdir("/dev/fd"))) == before


def test_the_environment_is_the_given_one_and_the_program_is_found_without_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    command = Command(["sh", "-c", 'echo "$TOKEN, $PATH, ${HOME-unset}"'], {"TOKEN": "s3cret", "PATH": "/app/bin"})
    command.start()
    assert command.wait(SECONDS) == 0
    assert capfd.readouterr().out == "s3cret, /app/bin, unset\n"


@pytest.mark.parametrize("locale", [("LC_ALL", "POSIX"), ("LC_ALL", "C.UTF-8")])
def test_a_value_that_the_locale_lacks_is_passed_on_in_utf_8(locale: tuple[str, str]) -> None:
    program = """
import os, sys
from kubectl_localize.cli.job import Command
command = Command(["sh", "-c", "printf %s \\"$MOTTO\\""], {**os.environ, "MOTTO": "caf\\u00e9 \\u751f\\u4ea7"})
command.start()
sys.exit(command.wait())
"""
    environ = {**os.environ, locale[0]: locale[1], "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environ, check=True, timeout=60)
    assert done.stdout.decode() == "café 生产"


def test_it_can_be_waited_for_beside_others() -> None:
    command = Command(["sh", "-c", "exit 0"], os.environ)
    command.start()
    other, _ = pipe = os.pipe()
    while command.poll() is None:
        assert select.select([command.fileno(), other], [], [], SECONDS)[0] == [command.fileno()]
    for descriptor in pipe:
        os.close(descriptor)


def test_wait_gives_up_and_end_ends() -> None:
    command = Command(["sleep", "60"], os.environ)
    command.start()
    assert command.wait(0.01) is None
    assert command.end(SECONDS) == 143


def test_end_ends_the_stubborn_and_the_stopped_and_all_of_the_group(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Whoever is left of the group holds the fifo open.
    script = f"trap '' TERM; exec 3>{fifo}; echo ready >&3; while :; do sleep 1; done"
    command = Command(["sh", "-c", script], os.environ)
    command.start()
    with fifo.open() as pipe:
        assert pipe.readline() == "ready\n"
        assert command.end(0.05) == 137
        assert pipe.read() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.usefixtures("hangup_ends")
def test_signals_to_us_reach_its_whole_group(number: signal.Signals, sessions: list[subprocess.Popen[str]]) -> None:
    name = number.name.removeprefix("SIG")
    inner = f"trap 'echo inner; exit' {name}; echo ready; while :; do sleep 0.01; done"
    script = f"trap 'echo outer; exit 5' {name}; ({inner}); :"
    runner = subprocess.Popen(
        [*python(RUNNER), "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    sessions.append(runner)
    assert runner.stdout is not None
    lines = {runner.stdout.readline().split()[0], runner.stdout.readline().split()[0]}
    assert lines == {"ready", "runner"}
    runner.send_signal(number)
    rest = runner.communicate(timeout=SECONDS)[0]
    assert rest == "inner\nouter\nended with 5 terminal none\n"
    assert runner.returncode == 0


def test_what_is_ignored_stays_ignored() -> None:
    script = 'trap "" HUP; exec "$@"'
    command = python("import os, signal; os.kill(os.getppid(), 1); os.kill(os.getpid(), 1); print('alive', flush=True)")
    runner = ["sh", "-c", script, "sh", *python(RUNNER), *command]
    done = subprocess.run(runner, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert "alive\n" in done.stdout
    assert "ended with 0" in done.stdout


# -- in a terminal ----------------------------------------------------------------------------------------------------
def test_it_reads_what_is_typed_and_then_the_terminal_is_ours(terminals: list[Terminal]) -> None:
    terminal = in_terminal(terminals, ["sh", "-c", 'read -r line; echo "got $line"; exit 4', "ask"])
    terminal.send("hello\n")
    terminal.expect("got hello")
    terminal.expect("ended with 4 terminal ours")
    terminal.send("again\n")
    terminal.expect("typed 'again'")
    assert terminal.wait() == 0


def test_ctrl_c_reaches_the_command_alone(terminals: list[Terminal]) -> None:
    terminal = in_terminal(
        terminals, ["sh", "-c", "trap 'trap - INT; echo first' INT; echo ready; while :; do sleep 0.01; done"]
    )
    terminal.expect("ready")
    terminal.send("\x03")
    terminal.expect("first")
    terminal.send("\x03")
    terminal.expect("ended with 130 terminal ours")
    assert terminal.wait() == 0


def test_the_terminal_of_a_killed_command_is_as_before(terminals: list[Terminal]) -> None:
    script = "stty raw -echo; echo ready; kill -9 $$"
    terminal = in_terminal(terminals, ["sh", "-c", script, "ask"])
    terminal.expect("ended with 137 terminal ours")
    terminal.send("shown\n")
    terminal.expect(r"shown\n")  # the echo
    terminal.expect("typed 'shown'")


def test_a_signal_to_us_while_it_has_the_terminal(terminals: list[Terminal]) -> None:
    terminal = in_terminal(terminals, ["sleep", "60"])
    os.kill(int(terminal.expect(r"runner (\d+)")[1]), signal.SIGTERM)
    terminal.expect("ended with 143 terminal ours")


def test_ctrl_z_without_a_shell_changes_nothing(terminals: list[Terminal]) -> None:
    terminal = in_terminal(terminals, ["sh", "-c", "echo ready; read -r line; echo got $line"])
    terminal.expect("ready")
    terminal.send("\x1a")
    terminal.send("hello\n")
    terminal.expect("got hello")
    terminal.expect("ended with 0 terminal ours")


@pytest.fixture
def shell(terminals: list[Terminal], tmp_path: Path) -> Terminal:
    """A shell with job control; `$run` is the runner with a command that repeats what it reads."""
    (tmp_path / "runner.py").write_text(RUNNER)
    (tmp_path / "command.py").write_text(
        "import os, sys\nprint('ready', flush=True)\nfor line in sys.stdin: print('got', line.strip(), flush=True)\n"
    )
    terminals.append(Terminal(["bash", "--norc", "--noprofile", "-i"], {**os.environ, "PS1": "prompt> "}))
    terminal = terminals[-1]
    terminal.expect("prompt> ")
    interpreter = f"{sys.executable} -E"  # as `python` above: a prompt of the shell's may come between two words
    terminal.send(f"run='{interpreter} {tmp_path}/runner.py {interpreter} {tmp_path}/command.py'\n")
    terminal.expect("prompt> ")
    return terminal


def test_ctrl_z_and_fg_as_with_any_job(shell: Terminal) -> None:
    shell.send("$run\n")
    shell.expect("ready")
    for text in ("one", "two"):
        shell.send("\x1a")
        shell.expect("Stopped")
        shell.expect("prompt> ")
        shell.send("echo the shell; fg\n")
        shell.expect(r"\n\r?the shell\n")
        shell.send(f"{text}\n")
        shell.expect(f"got {text}")
    shell.send("\x04")
    shell.expect("ended with 0 terminal ours")
    shell.expect("prompt> ")


def test_a_job_in_the_background_waits_for_the_terminal_and_leaves_it_to_the_shell(shell: Terminal) -> None:
    shell.send("$run &\n")
    shell.expect("ready")
    shell.send(f"{STOPPED}\n")
    shell.expect("it has stopped")  # it wants to read
    shell.send("fg\n")
    shell.send("one\n")
    shell.expect("got one")
    shell.send("\x1a")
    shell.expect("prompt> ")
    shell.send(f"bg; {STOPPED}\n")
    shell.expect("it has stopped")
    shell.send("kill -TERM %1\n")
    shell.expect("ended with 143 terminal not ours")
    shell.send("echo 'the' shell\n")
    shell.expect(r"\n\r?the shell\n")
