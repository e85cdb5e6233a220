"""The list of top-level domains, from either source."""

from __future__ import annotations

import string
from datetime import date
from itertools import product
from pathlib import Path

import pytest

from krew.commands import BuildError
from krew.tlds import TARGET, parse, refresh

MANY = sorted("".join(letters) for letters in product(string.ascii_lowercase, repeat=3))[:1100]
IANA = "# Version 2026112700\n" + "".join(f"{name.upper()}\n" for name in MANY) + "XN--P1AI\n"
SUFFIXES = f"""// a comment
// ===BEGIN ICANN DOMAINS===

// the Cook Islands have no domain at their top, but below
*.ck
!www.ck
co.uk
uk
рф
{chr(10).join(MANY)}
// ===END ICANN DOMAINS===
// ===BEGIN PRIVATE DOMAINS===
blogspot.nonsense
// ===END PRIVATE DOMAINS===
"""


def test_ianas_list_and_the_public_suffix_list_are_read() -> None:
    assert parse(IANA) == sorted([*MANY, "xn--p1ai"])
    assert parse(SUFFIXES) == sorted([*MANY, "ck", "uk", "xn--p1ai"])


@pytest.mark.parametrize(
    "text", ["", "<html><body>Not found</body></html>", "com\norg\n", IANA + "-x\n", IANA + "1.1\n"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BuildError, match="not a list of top-level domains"):
        parse(text)


def test_the_file_is_written_anew_and_names_its_source_and_day(tmp_path: Path) -> None:
    source = tmp_path / "tlds-alpha-by-domain.txt"
    source.write_text(IANA)
    (tmp_path / TARGET).parent.mkdir(parents=True)
    written = refresh(str(source), tmp_path, date(2026, 11, 28)).read_text()
    assert [line for line in written.splitlines() if not line.startswith("#")] == parse(IANA)
    assert "on 2026-11-28 from tlds-alpha-by-domain.txt." in written
    with pytest.raises(BuildError, match=r"nowhere\.txt cannot be read: "):
        refresh(str(tmp_path / "nowhere.txt"), tmp_path, date(2026, 11, 28))
