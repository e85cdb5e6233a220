"""What the cluster said last, and how long a Tab waits for news."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubectl_localize.cli.completion.cache import (
    ANSWER_SECONDS,
    FIRST_WAIT_SECONDS,
    FORBIDDEN_SECONDS,
    FRESH_SECONDS,
    RETRY_SECONDS,
    NameCache,
    Names,
    patience,
)

NOW, SPENT = 1_000_000.0, 0.05


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (Names(), FIRST_WAIT_SECONDS),
        (Names(("web",), NOW - 1, NOW - 1), None),
        (Names((), NOW - FRESH_SECONDS - 1, NOW - FRESH_SECONDS - 1, forbidden=True), None),
        (Names((), NOW - FORBIDDEN_SECONDS - 1, NOW - FORBIDDEN_SECONDS - 1, forbidden=True), ANSWER_SECONDS - SPENT),
        (Names(("web",), NOW - FRESH_SECONDS - 1, NOW - FRESH_SECONDS - 1), ANSWER_SECONDS - SPENT),
        (Names(("web",), NOW - 9e5, NOW - 1), None),  # the cluster was away just now
        (Names((), 0, NOW - 1), None),
        (Names((), 0, NOW - RETRY_SECONDS - 1), FIRST_WAIT_SECONDS),
        (Names(("web",), NOW + 100, NOW + 100), ANSWER_SECONDS - SPENT),  # somebody has put back the clock
    ],
)
def test_patience(names: Names, expected: float | None) -> None:
    assert patience(names, NOW, SPENT) == expected


def test_who_has_no_time_left_asks_without_waiting() -> None:
    assert patience(Names(("web",), NOW - 3600, NOW - 3600), NOW, ANSWER_SECONDS + 1) == 0


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    root = tmp_path / "kube" / "localize"
    cache = NameCache(root, "dev-1")
    assert cache.load("services") == Names()
    names = Names(("shop/web", "shop/cart"), 1.5, 2.5)
    cache.save("services", names)
    cache.save("namespaces", Names((), 3.0, 3.0, forbidden=True))
    assert NameCache(root, "dev-1").load("services") == names
    assert cache.load("namespaces").forbidden
    assert NameCache(root, "dev-2").load("services") == Names()


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    root = tmp_path / "localize"
    NameCache(root, "dev-1").save("services", Names(("shop/web",), 1.0, 1.0))
    modes = {path: path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert [path.name for path in modes if path.is_file()] == ["services.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"names": 3, "listedAt": 1, "triedAt": 1, "forbidden": false}', "\x00"]
)
def test_what_cannot_be_read_counts_as_nothing(tmp_path: Path, text: str) -> None:
    cache = NameCache(tmp_path, "dev-1")
    cache.save("services", Names(("shop/web",), 1.0, 1.0))
    (tmp_path / "completion" / "dev-1" / "services.json").write_text(text)
    assert cache.load("services") == Names()


def test_a_name_too_long_for_a_file(tmp_path: Path) -> None:
    assert NameCache(tmp_path, "dev-1").load("services." + "x" * os.pathconf("/", "PC_NAME_MAX")) == Names()
