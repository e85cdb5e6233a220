"""The record of exposures that have begun: what a later start reads after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_localize.host.paths import write_durable
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger


def test_sessions_come_and_go_and_another_process_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "exposures.json"
    record, later = SessionLedger(path, write_durable), SessionLedger(path, write_durable)
    assert later.sessions() == {}
    record.add("abc12", "shop")
    record.add("xyz98", "other")
    assert later.sessions() == {"abc12": "shop", "xyz98": "other"}
    record.remove("abc12")
    record.remove("never-was")
    assert later.sessions() == {"xyz98": "other"}
    record.remove("xyz98")
    assert not path.exists()
    record.remove("xyz98")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sessions": 5}', '{"sessions": ["abc12"]}'])
def test_a_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "exposures.json"
    path.write_text(text)
    record = SessionLedger(path, write_durable)
    assert record.sessions() == {}
    record.add("abc12", "shop")
    assert record.sessions() == {"abc12": "shop"}


def test_what_cannot_be_written_is_an_error_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        SessionLedger(tmp_path / "nowhere" / "exposures.json", write_durable).add("abc12", "shop")
