"""Fixtures that several modules share: short directories, other users, processes of the product's own files."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A private directory whose path leaves room for a socket's name."""
    directory = Path(tempfile.mkdtemp(prefix="klh", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def other_uid() -> int:
    """The uid of another user; only root can be two users."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a process as another user")
    return pwd.getpwnam("nobody").pw_uid
