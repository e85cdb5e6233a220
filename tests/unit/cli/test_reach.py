"""The state directories that a command makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_localize.cli.commands.stop import sweep
from kubectl_localize.cli.reach import discard_new_state_dirs
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import HOME_VARIABLE, RunPaths


def test_a_name_that_is_too_long_is_named_and_holds_nothing(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / ("d" * 300) / "k")
    with (
        pytest.raises(LocalizeError, match="is not writable: File name too long") as caught,
        discard_new_state_dirs(paths, lambda: True),
    ):
        raise AssertionError("this was not to be reached")
    assert HOME_VARIABLE in caught.value.hint
    assert not sweep(paths)
