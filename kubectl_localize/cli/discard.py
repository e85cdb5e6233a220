"""State directories that a failing command has made are taken away again."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import owner


@contextlib.contextmanager
def discard_new_state_dirs(paths: RunPaths, unused: Callable[[], bool]) -> Iterator[None]:
    """Remove the state directories again if the command fails before it, or another one, has used them."""
    directory = paths.directory
    new = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        yield
    except LocalizeError:
        used = not unused() or owner(paths.pidfile) is not None
        if directory in new and not used:
            shutil.rmtree(directory, ignore_errors=True)
        for path in new[1:]:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
