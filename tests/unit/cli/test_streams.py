"""The standard streams: closed, full and non-blocking ones, and what gets through to them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kubectl_localize.cli.streams import OutputError, SafeOutput, SafeText, write_with_sequences
from kubectl_localize.errors import LocalizeError

SPOOFED = "web\x1b[2J\x1b]0;title\x07\x9b31m\u202egnp\u200b.exe\x00\x7f\u2028\ud800"


def _run(shell_words: str, tmp_path: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program below a shell that changes its streams."""
    command = ["sh", "-c", f'exec "$@" {shell_words}', "sh", sys.executable, "-m", "kubectl_localize", *words]
    environment = {
        **os.environ,
        "KUBECTL_LOCALIZE_HOME": str(tmp_path),
        "KUBECONFIG": str(tmp_path / "none"),
        **environ,
    }
    return subprocess.run(command, capture_output=True, env=environment, check=False, timeout=60)


CLOSED = ("<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full", "</dev/full")


@pytest.mark.parametrize("streams", CLOSED)
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("ls",), 0),
        (("stop", "--all"), 0),
        (("-d",), 1),  # there is no kubeconfig
        (("restore",), 1),
        (("expose", "a/b"), 1),
        (("__complete", "ls", ""), 0),
    ],
    ids=str,
)
def test_a_command_does_its_work_without_some_streams(
    words: Sequence[str], code: int, streams: str, tmp_path: Path
) -> None:
    done = _run(streams, tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stdout + done.stderr
    assert (b"error: no cluster is configured" in done.stderr) == (code == 1 and "2>" not in streams)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words", [("ls", "-o", "json"), ("-h",), ("version", "--client"), ("completion", "zsh")], ids=str
)
def test_data_that_cannot_get_out_is_an_error(words: Sequence[str], unbuffered: str, tmp_path: Path) -> None:
    closed = _run(">&-", tmp_path, *words, PYTHONUNBUFFERED=unbuffered)
    said = b"error: the output cannot be written: stdout is closed\nhint: `>/dev/null` instead of `>&-` drops it\n"
    assert (closed.returncode, closed.stderr) == (1, said)
    unheard = _run(">/dev/full 2>/dev/full", tmp_path, *words, PYTHONUNBUFFERED=unbuffered)
    assert (unheard.returncode, unheard.stderr) == (1, b"")


def test_a_full_pipe_that_does_not_block_loses_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b"\n" * 4096)
        except BlockingIOError:
            break
    command = [sys.executable, "-m", "kubectl_localize", "ls", "-o", "json"]
    environ = {**os.environ, "KUBECTL_LOCALIZE_HOME": str(tmp_path)}
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, env=environ) as process:
        os.close(writing)
        with open(reading, "rb") as pipe:
            read = pipe.read()
        assert process.wait(60) == 0
    assert read.strip().endswith(b"}")


def test_children_get_no_file_in_place_of_a_closed_stream(tmp_path: Path) -> None:
    program = (
        "import os, socket, sys\nfrom kubectl_localize.cli import streams\nstreams.prepare()\n"
        "print(socket.socket().fileno() > 2, file=open(sys.argv[1], 'w'))"
    )
    said = tmp_path / "said"
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", program, str(said)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
    assert said.read_text() == "True\n"


def _stream(kind: type[SafeText], encoding: str = "utf-8") -> tuple[SafeText, io.BytesIO]:
    raw = io.BytesIO()
    return kind(raw, encoding=encoding, errors="replace"), raw


def _by_print(stream: SafeText, text: str) -> None:
    print(text, file=stream)


def _by_bytes(stream: SafeText, text: str) -> None:
    data = (text + "\n").encode("utf-8", "surrogatepass")
    buffer = stream.buffer
    for part in (data[:1], data[1:9], data[9:]):  # a character may come in parts
        buffer.write(part)
    buffer.flush()


@pytest.mark.parametrize("kind", [SafeText, SafeOutput])
@pytest.mark.parametrize("write", [_by_print, _by_bytes])
def test_nothing_that_steers_a_terminal_gets_through(
    write: Callable[[SafeText, str], None], kind: type[SafeText]
) -> None:
    stream, raw = _stream(kind)
    write(stream, f"ä\t{SPOOFED}\nnext")
    stream.flush()
    text = raw.getvalue().decode()
    assert text.startswith("ä\tweb")
    assert text.endswith("\nnext\n")
    assert all(line.replace("\t", "").isprintable() for line in text.split("\n"))


def test_our_own_sequences_get_through() -> None:
    stream, raw = _stream(SafeText)
    write_with_sequences(stream, "\r\x1b[2K\x1b[32mok\x1b[0m")
    stream.flush()
    assert raw.getvalue() == b"\r\x1b[2K\x1b[32mok\x1b[0m"
    plain = io.StringIO()
    write_with_sequences(plain, "\x1b[2K")
    assert plain.getvalue() == "\x1b[2K"


def test_characters_that_the_encoding_lacks_are_replaced() -> None:
    stream, raw = _stream(SafeOutput, "latin-1")
    stream.write("é…")
    stream.flush()
    assert raw.getvalue() == "é?".encode("latin-1")


def test_a_reader_that_has_gone_is_told_apart_from_a_failure() -> None:
    class Broken(io.RawIOBase):
        def __init__(self, error: OSError) -> None:
            super().__init__()
            self.error: OSError | None = error

        def writable(self) -> bool:
            return True

        def write(self, data: object, /) -> int:
            if self.error is not None:
                raise self.error
            return len(str(data))

    for error, expected in ((BrokenPipeError(32, "gone"), BrokenPipeError), (OSError(5, "gone"), OutputError)):
        raw = Broken(error)
        stream = SafeOutput(io.BufferedWriter(raw), encoding="utf-8")
        stream.write("text")
        with pytest.raises(expected) as caught:
            stream.flush()
        if isinstance(caught.value, LocalizeError):
            assert caught.value.message == "the output cannot be written: gone"
        raw.error = None


def test_a_full_pipe_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    program = "import sys\nfrom kubectl_localize.cli import streams\nstreams.prepare()\nsys.stderr.write('x' * 300_000)"
    with subprocess.Popen([sys.executable, "-c", program], stderr=writing) as process:
        os.close(writing)
        received: list[bytes] = []
        with open(reading, "rb") as pipe:
            reader = threading.Thread(target=lambda: received.append(pipe.read()))
            reader.start()
            assert process.wait(60) == 0
            reader.join()
    assert received == [b"x" * 300_000]


def test_a_job_in_the_background_cannot_ask() -> None:
    program = """
import os, pty, signal, sys
pid, master = pty.fork()
if pid == 0:
    from kubectl_localize.cli import terminal
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    before = terminal.can_ask(), terminal.in_background(sys.stdin)
    other = os.fork()
    if other == 0:
        os.setpgid(0, 0)
        signal.pause()
    try:
        os.setpgid(other, other)
    except PermissionError:
        pass
    os.tcsetpgrp(0, other)
    print(before, (terminal.can_ask(), terminal.in_background(sys.stdin)), terminal.can_redraw(sys.stderr), flush=True)
    os.kill(other, signal.SIGKILL)
    os._exit(0)
said = b""
while b"\\n" not in said:
    said += os.read(master, 1000)
print(said.decode())
"""
    environ = {**os.environ, "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environ, check=True, timeout=60)
    assert done.stdout.split() == b"(True, False) (False, True) False".split()
