"""The real krew as the sandbox's user drives it, with an index of its own that holds our manifest, and no network."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from krew import release as building
from krew.release import Release
from tests.cluster.paths import CHECKOUT
from tests.environment import Environment
from tests.real.product import Done
from tests.real.sandbox import Sandbox
from tests.releases import REPOSITORY


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The URL of a web server of the loopback device that serves a directory's files."""
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Krew:
    """krew in one sandbox, whose PATH then has what krew installs, and no other `kubectl localize`.

    Args:
        programs: the directory with krew and the validator.
    """

    def __init__(self, sandbox: Sandbox, programs: Path) -> None:
        self.sandbox = sandbox
        self.root = sandbox.home / ".krew"
        self.command = self.root / "bin" / "kubectl-localize"
        self._index = sandbox.home / "index"
        self._env = {"KREW_NO_UPGRADE_CHECK": "1", "KREW_DEFAULT_INDEX_URI": f"file://{self._index}"}
        sandbox.directories = [self.root / "bin", programs, Environment.of_checkout().kubectl.parent]

    def manifest(self, release: Release, downloads: str) -> Path:
        """A release's manifest with these addresses, in a file that the user may read."""
        directory = self.sandbox.root / f"manifest-{release.version}"
        directory.mkdir(exist_ok=True)
        return building.describe(CHECKOUT, release, directory, REPOSITORY, downloads)

    def run(self, *argv: str) -> Done:
        """`kubectl krew …`, whatever its exit code."""
        return self.sandbox.run("kubectl", "krew", *argv, env=self._env, timeout=120)

    def must(self, *argv: str) -> str:
        """`kubectl krew …`, which has to succeed; what it says to people."""
        done = self.run(*argv)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def validate(self, manifest: Path) -> Done:
        """`validate-krew-manifest`, whatever its exit code."""
        return self.sandbox.run("validate-krew-manifest", "-manifest", str(manifest), timeout=120)

    def publish(self, manifest: Path) -> None:
        """Put a manifest into the index, which is a git repository, as a pull request to krew's does."""
        new = not self._index.exists()
        if new:
            self._git("init", "-q", str(self._index))
        plugins = self._index / "plugins"
        plugins.mkdir(exist_ok=True)
        shutil.copyfile(manifest, plugins / manifest.name)
        for path in (plugins, plugins / manifest.name):
            self.sandbox.give(path)
        self._git("-C", str(self._index), "add", "plugins")
        self._git("-C", str(self._index), "-c", "user.name=me", "-c", "user.email=me", "commit", "-q", "-m", "localize")

    def _git(self, *argv: str) -> None:
        done = self.sandbox.run("git", *argv)
        assert done.returncode == 0, done.stderr
