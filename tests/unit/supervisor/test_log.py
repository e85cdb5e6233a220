"""What the supervisor's log says of others steers no terminal."""

from __future__ import annotations

import logging
import sys

from kubectl_localize.supervisor.__main__ import LOG_FORMAT, LogFormatter


def test_a_message_is_one_printable_line_and_a_stack_trace_keeps_its_lines() -> None:
    try:
        raise ValueError("a pod said \x1b[2J\u202eno")
    except ValueError:
        record = logging.LogRecord(
            "a.b", logging.ERROR, __file__, 1, "ssh: %s", ("bad\r\n2026 INFO \x1b]0;title\x07",), sys.exc_info()
        )
    lines = LogFormatter(LOG_FORMAT).format(record).split("\n")
    assert lines[0].endswith("ERROR a.b: ssh: bad 2026 INFO ]0;title")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[2].startswith("  File ")
    assert lines[-1] == "ValueError: a pod said no"
    assert all(map(str.isprintable, lines))
