"""`logs`, also over rotation."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from kubectl_localize.cli.commands.logs import follow, only_log
from kubectl_localize.cli.main import main
from kubectl_localize.host.paths import RunPaths


@pytest.mark.parametrize(("with_log", "found"), [((), None), (("a",), "a"), (("a", "b"), None)])
def test_only_log(tmp_path: Path, with_log: tuple[str, ...], found: str | None) -> None:
    runs = [RunPaths(tmp_path / name) for name in ("a", "b", "c")]
    for run in runs:
        run.directory.mkdir()
        if run.key in with_log:
            run.log.touch()
    only = only_log(runs)
    assert (only.key if only else None) == found


def test_the_only_log_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("KUBECTL_LOCALIZE_HOME", str(tmp_path))
    (tmp_path / "addresses.json").touch()
    run = RunPaths(tmp_path / "kind-dev-1")
    run.directory.mkdir()
    run.log.write_bytes(b"one\n\xfftwo\n")
    assert main(["logs"]) == 0
    assert capfdbinary.readouterr() == (b"one\n\xfftwo\n", b"")


class _Events:
    """Things that happen to a log while nobody looks: one for each sleep; then Ctrl-C."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self._left = list(events)

    def sleep(self, _: float) -> None:
        if not self._left:
            raise KeyboardInterrupt
        self._left.pop(0)()


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _followed(log: Path, *events: Callable[[], object]) -> str:
    out = io.BytesIO()
    with pytest.raises(KeyboardInterrupt):
        follow(log, out, _Events(*events).sleep)
    return out.getvalue().decode()


def test_follow(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")
    assert (
        _followed(log, lambda: _append(log, "two\n"), lambda: None, lambda: _append(log, "three")) == "one\ntwo\nthree"
    )


def test_follow_over_rotation(tmp_path: Path) -> None:
    log, old = tmp_path / "log", tmp_path / "log.1"
    log.write_text("one\n")

    def rotate() -> None:
        _append(log, "last\n")
        log.rename(old)
        log.write_text("first\n")

    assert _followed(log, rotate, lambda: _append(log, "second\n")) == "one\nlast\nfirst\nsecond\n"


def test_what_is_written_between_the_last_look_and_the_rotation_is_not_lost(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")

    class Out(io.BytesIO):
        """Rotates the log after it was read to its end for the first time."""

        rotated = False

        def flush(self) -> None:
            if not self.rotated:
                self.rotated = True
                _append(log, "last\n")
                log.rename(tmp_path / "log.1")
                log.write_text("new\n")

    out = Out()
    with pytest.raises(KeyboardInterrupt):
        follow(log, out, _Events().sleep)
    assert out.getvalue() == b"one\nlast\nnew\n"


def test_follow_while_the_new_file_is_not_there_yet(tmp_path: Path) -> None:
    log, old = tmp_path / "log", tmp_path / "log.1"
    log.write_text("one\n")
    assert _followed(log, lambda: log.rename(old), lambda: log.write_text("new\n")) == "one\nnew\n"


def test_follow_over_truncation(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("a long first line\n")
    assert _followed(log, lambda: log.write_text("cut\n"), lambda: None) == "a long first line\ncut\n"
