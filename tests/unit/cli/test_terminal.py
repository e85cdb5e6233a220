"""What people read, on a terminal and without one."""

from __future__ import annotations

import io

import pytest

from kubectl_localize.cli.terminal import Console, Steps, color_wanted, paint


@pytest.mark.parametrize(
    ("terminal", "no_color", "environ", "expected"),
    [
        (True, False, {}, True),
        (False, False, {}, False),
        (True, True, {}, False),
        (True, False, {"NO_COLOR": "1"}, False),
        (True, False, {"NO_COLOR": ""}, True),
        (True, False, {"TERM": "dumb"}, False),
        (True, False, {"TERM": "xterm"}, True),
    ],
)
def test_color_wanted(terminal: bool, no_color: bool, environ: dict[str, str], expected: bool) -> None:
    assert color_wanted(terminal, no_color, environ) is expected


def test_plain_has_no_control_characters() -> None:
    out = io.StringIO()
    console = Console(out)
    steps = Steps(console, plain=True)
    steps.doing("one")
    steps.doing("one")
    console.warning("careful\nnow")
    steps.doing("two")
    steps.quiet()
    console.error("broken", "mend it")
    console.error("no hint")
    assert out.getvalue() == "one\nwarning: careful now\ntwo\nerror: broken\nhint: mend it\nerror: no hint\n"


def test_live_rewrites_one_line_and_keeps_it_below_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "6")
    out = io.StringIO()
    console = Console(out, live=True)
    steps = Steps(console, plain=True)
    steps.doing("one")
    steps.doing("two and more")
    console.line("said")
    steps.quiet()
    steps.quiet()
    clear = "\r\x1b[2K"
    assert out.getvalue() == f"one{clear}two a{clear}said\ntwo a{clear}"


def test_an_error_takes_the_progress_line_away() -> None:
    out = io.StringIO()
    console = Console(out, live=True)
    console.progress("one")
    console.error("broken")
    assert out.getvalue() == "one\r\x1b[2Kerror: broken\n"


def test_colours() -> None:
    out = io.StringIO()
    console = Console(out, color=True)
    console.warning("w")
    console.error("e", "h")
    assert out.getvalue() == "\x1b[33mwarning:\x1b[0m w\n\x1b[31merror:\x1b[0m e\n\x1b[2mhint:\x1b[0m h\n"
    assert paint("x", "no such style") == "x"


def test_a_stream_that_is_gone_is_no_failure() -> None:
    out = io.StringIO()
    out.close()
    Console(out).warning("nobody hears it")
