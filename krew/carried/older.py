"""What a Python that is too old does: go on with a newer one from the PATH, or say what is needed.

If `python3` is an old one, a newer one often lies beside it under its full name. Python 2.7 can read this file.
"""

import os
import subprocess
import sys

MINORS = (13, 12, 11, 14, 15, 16, 17, 18, 19, 20)  # those that the tests run with first
CHECK = "import sys; sys.exit(sys.version_info < (3, 11))"


def main(argv):
    # type: (list[str]) -> int
    """Run the same command with a newer Python; return the exit code if there is none."""
    newer = find_newer(os.environ.get("PATH", "").split(os.pathsep))
    if newer is not None:
        os.execv(newer, [newer] + argv)  # noqa: RUF005
    sys.stderr.write(
        "error: kubectl localize needs Python 3.11 or later, and %s is Python %d.%d\n"
        "hint: install a newer Python; it is found in the PATH as python3, or as python3.11 or later\n"
        % (sys.executable or "this", sys.version_info[0], sys.version_info[1])
    )
    return 1


def find_newer(directories):
    # type: (list[str]) -> str | None
    """Return the path of a Python of 3.11 or later in these directories; None if there is none."""
    for minor in MINORS:
        for directory in directories:
            path = os.path.join(directory, "python3.%d" % minor)
            if os.access(path, os.X_OK) and runs(path):
                return path
    return None


def runs(path):
    # type: (str) -> bool
    """Whether a Python is as new as its name says: pyenv's stand-ins start another version, or none."""
    with open(os.devnull, "r+") as nothing:
        try:
            return subprocess.call([path, "-c", CHECK], stdin=nothing, stdout=nothing, stderr=nothing) == 0
        except OSError:
            return False
