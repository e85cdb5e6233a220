"""Where the files of this user's supervisors are, and how such files are written and locked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.files import make_room

HOME_VARIABLE = "KUBECTL_LOCALIZE_HOME"

_SLUG_CHARACTERS = 40
_LOCK_RETRY_SECONDS = 0.01


@dataclass(frozen=True)
class RunPaths:
    """The files of one supervisor (one context), all in a directory that is named after the context's key."""

    directory: Path

    @property
    def key(self) -> str:
        """The context's key."""
        return self.directory.name

    @property
    def pidfile(self) -> Path:
        """Held by the live supervisor."""
        return self.directory / "supervisor.pid"

    @property
    def state(self) -> Path:
        """The document that `ls` reads."""
        return self.directory / "state.json"

    @property
    def control(self) -> Path:
        """The Unix socket on which the supervisor takes commands."""
        return self.directory / "control.sock"

    @property
    def helper_socket(self) -> Path:
        """The Unix socket at which helper and supervisor meet."""
        return self.directory / "helper.sock"

    @property
    def own_socket(self) -> Path:
        """The Unix socket for a helper without privileges."""
        return self.directory / "own.sock"

    @property
    def groups(self) -> Path:
        """The group ledger: the process groups of the supervisor's children."""
        return self.directory / "groups"

    @property
    def exposures(self) -> Path:
        """The session ledger: the exposures that were begun and not ended."""
        return self.directory / "exposures.json"

    @property
    def exposures_lock(self) -> Path:
        """Locked while a session ledger changes; beside the directory, which goes when all in it is done."""
        return self.directory.parent / "exposures.lock"

    @property
    def kubeconfig(self) -> Path:
        """What the user's kubeconfig said of the context, once it does not say it any more."""
        return self.directory / "kubeconfig"

    @property
    def login(self) -> Path:
        """The kubeconfig with the credentials that a plugin gave in the terminal."""
        return self.directory / "login"

    @property
    def log(self) -> Path:
        """The supervisor's log."""
        return self.directory / "supervisor.log"


@dataclass(frozen=True)
class Paths:
    """The root of all state of this user."""

    root: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Paths:
        """Return `$KUBECTL_LOCALIZE_HOME` if it is set, else `~/.kube/localize`, as an absolute path.

        If another machine or container uses that directory, it is one below it (`host.place`).

        Raises:
            LocalizeError: this user has no home directory, or the current directory is gone and the path relative.
        """
        chosen, home = environ.get(HOME_VARIABLE), environ.get("HOME")
        try:
            if chosen:
                return cls(_root_here(Path(chosen).expanduser().absolute()))
            return cls(_root_here((Path(home) if home else Path.home()).absolute() / ".kube" / "localize"))
        except (RuntimeError, OSError) as error:  # a service manager may set no HOME, and passwd not know the user
            raise LocalizeError(
                f"there is no directory for files of kubectl localize: {error}",
                f"set HOME, or {HOME_VARIABLE} to a directory of yours",
            ) from error

    @property
    def addresses(self) -> Path:
        """The registry of addresses that all of the user's supervisors share."""
        return self.root / "addresses.json"

    @property
    def addresses_lock(self) -> Path:
        """Locked while the registry is read and written."""
        return self.root / "addresses.lock"

    def run(self, key: str) -> RunPaths:
        """Return the paths of the context with this key, whether or not they exist."""
        return RunPaths(self.root / key)

    def all_runs(self) -> list[RunPaths]:
        """Return, sorted by key, the directories that hold a state file, a pidfile or a session ledger."""
        try:
            names = sorted(os.listdir(self.root))
        except OSError:
            return []
        runs = (self.run(name) for name in names)
        return [run for run in runs if any(map(os.path.exists, (run.state, run.pidfile, run.exposures)))]


def _root_here(root: Path) -> Path:
    from kubectl_localize.host.place import root_of, this_place
    from kubectl_localize.host.process import owner

    def lives(root: Path) -> bool:
        return any(owner(run.pidfile) is not None for run in Paths(root).all_runs())

    return root_of(root, this_place(), lives)


def context_key(context: str, identity: str, uid: int, root: Path) -> str:
    """Return the name under which a context's state is kept, at most 60 characters of `[a-z0-9-]`.

    A readable slug alone would not do: contexts may be called `arn:aws:eks:…/x`, and two kubeconfigs may use one name.
    What tells their clusters apart (`Connection.identity`) is no address: minikube and kind change ports at each start.
    The directory of all state (`root`) goes into it, since supervisors of two directories do not know of one another:
    each has a managed block of its own. It ends with the user's uid, which the helper checks: nobody has it change
    another user's managed block.
    """
    import hashlib  # 2 ms, which neither `ls` nor most Tabs need

    slug = re.sub(r"[^a-z0-9]+", "-", context.lower()).strip("-")[:_SLUG_CHARACTERS].strip("-") or "context"
    words = (identity, context, str(uid), os.path.realpath(root))
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{slug}-{digest[:8]}-{uid}"


def key_digest(key: str) -> str:
    """The part of a context's key that no other context of any user has."""
    return key.split("-")[-2] if key.count("-") >= 2 else key


def key_owner(key: str) -> int:
    """The uid of the user whose context's key this is; -1 if it does not say."""
    uid = key.rpartition("-")[2]
    return int(uid) if uid.isascii() and uid.isdigit() else -1


def make_private(directory: Path) -> None:
    """Make the directory and its missing parents, so that nobody else can enter them (mode 0700).

    A directory that exists is left as it is: it may serve something else, such as /tmp.

    Raises:
        LocalizeError: it cannot be made or written to, or others can enter it.
    """
    try:
        for path in [path for path in (*reversed(directory.parents), directory) if not path.exists()]:
            path.mkdir(exist_ok=True, mode=0o700)
        status = directory.stat()
    except OSError as error:
        raise _not_writable(directory, error.strerror or str(error)) from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise _not_writable(directory, "Permission denied")
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise LocalizeError(
            f"state directory {directory} is not yours alone: it is user {status.st_uid}'s, mode"
            f" {status.st_mode & 0o7777:04o}",
            f"`chmod 700 {directory}` if it is for nothing else, or set {HOME_VARIABLE} to another directory",
        )


def _not_writable(directory: Path, reason: str) -> LocalizeError:
    return LocalizeError(
        f"state directory {directory} is not writable: {reason}",
        f"make it writable (was it made by sudo?) or set {HOME_VARIABLE} to another directory",
    )


def write_atomic(path: Path, text: str, mode: int = 0o600, *, durable: bool = False) -> None:
    """Replace the file's content at once, so that a reader sees the old text or the new one.

    Args:
        path: the file; its directory has to exist.
        text: the new content, written as UTF-8.
        mode: the file's permissions.
        durable: return only when the text is on the disk, so that it survives a power failure.

    Raises:
        OSError: the file cannot be written; the old one is untouched and no temporary file is left.
    """
    import tempfile  # as hashlib above

    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
            if durable:
                file.flush()
                os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if durable:
        _sync_directory(path.parent)


def write_durable(path: Path, text: str) -> None:
    """Replace the file's content at once; it is on the disk when this returns. Blocks for an fsync."""
    write_atomic(path, text, durable=True)


def _sync_directory(directory: Path) -> None:
    """Have the directory's names on the disk: a file without its name is lost all the same."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is made if it is missing. Blocks, so keep it out of the event loop.

    The wait is bounded, since a stopped process (SIGSTOP, a debugger) may hold the lock for ever.

    Args:
        path: the lock file, in a directory that exists; it stays there.
        timeout_seconds: how long to wait for another holder.

    Raises:
        TimeoutError: another process held the lock all the time.
        OSError: the file cannot be opened or locked.
        LocalizeError: something else is in its place.
    """
    make_room(path)
    deadline = time.monotonic() + timeout_seconds
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"{path} is locked by another process") from None
            time.sleep(_LOCK_RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)
