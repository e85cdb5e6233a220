"""What the supervisor's log says of others steers no terminal."""

from __future__ import annotations

import logging
import re
import sys

from kubectl_localize.supervisor.__main__ import LogFormatter


def test_a_message_is_one_printable_line_and_a_stack_trace_keeps_its_lines() -> None:
    try:
        raise ValueError("a pod said \x1b[2J\u202eno")
    except ValueError:
        record = logging.LogRecord(
            "a.b", logging.ERROR, __file__, 1, "ssh: %s", ("bad\r\n2026 INFO \x1b]0;title\x07",), sys.exc_info()
        )
    lines = LogFormatter().format(record).split("\n")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d error: ssh: bad 2026 INFO \]0;title", lines[0])
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[2].startswith("  File ")
    assert lines[-1] == "ValueError: a pod said no"
    assert all(map(str.isprintable, lines))


def test_what_is_in_order_is_only_a_time_and_a_sentence() -> None:
    record = logging.LogRecord("a.b", logging.INFO, __file__, 1, "shop/web: a new Service", (), None)
    assert re.fullmatch(r"\S+ \S+ shop/web: a new Service", LogFormatter().format(record))
