"""What a Python that is too old does: find a newer one in the PATH."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from krew.carried.older import find_newer
from tests.cluster.paths import CHECKOUT


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_a_newer_one_is_found_by_its_full_name(tmp_path: Path) -> None:
    (tmp_path / "python3.12").symlink_to(sys.executable)
    assert find_newer(["/nowhere", str(tmp_path)]) == str(tmp_path / "python3.12")
    assert find_newer(["/nowhere"]) is None


def test_one_that_does_not_run_or_is_another_is_passed_by(tmp_path: Path) -> None:
    _program(tmp_path / "a" / "python3.13", "#!/bin/sh\necho 'not this one' >&2\nexit 127\n")
    _program(tmp_path / "b" / "python3.12", "no program at all")
    assert find_newer([str(tmp_path / "a"), str(tmp_path / "b")]) is None
    (tmp_path / "b" / "python3.11").symlink_to(sys.executable)
    assert find_newer([str(tmp_path / "a"), str(tmp_path / "b")]) == str(tmp_path / "b" / "python3.11")


def test_the_names_are_looked_for_in_all_directories_before_the_next_name(tmp_path: Path) -> None:
    for directory, name in (("a", "python3.11"), ("b", "python3.13")):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / name).symlink_to(sys.executable)
    assert find_newer([str(tmp_path / "a"), str(tmp_path / "b")]) == str(tmp_path / "b" / "python3.13")


def test_what_an_old_python_reads_has_no_newer_words_in_it() -> None:
    """The tests with real old Pythons say more; this one says it for every checkout, quickly."""
    for name in ("__main__.py", "older.py"):
        text = (CHECKOUT / "krew" / "carried" / name).read_bytes()
        assert text.isascii(), f"{name}: Python 2 wants to be told of anything else"
        nodes = list(ast.walk(ast.parse(text)))
        assert not [node for node in nodes if isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr))]
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
        assert not [
            function for function in functions if function.returns or any(arg.annotation for arg in function.args.args)
        ]
