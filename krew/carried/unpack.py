"""Unpacks an archive's packages the first time it runs, deletes those of old versions, and runs the program.

They are unpacked to `~/.kube/localize/program/BUILD`, a directory that is complete or absent: it is renamed into place.
Python needs files: it imports no C extension from an archive, and keeps compiled modules beside files only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator, Mapping

from krew.carried.start import HELD, hold

PACKAGES = "packages/"  # where they are in the archive
BUILD = "BUILD"  # the archive's file that names its build (version, digest of the packages) and its platform
LOCK = "lock"
TEMPORARY = ".tmp-"
CTRL_C = 130
WAIT_SECONDS = 20.0  # unpacking takes half a second
POLL_SECONDS = 0.02
OTHERS_WRITE = 0o022  # the mode's bits for group and all
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's names and Go's, if they differ
HOME_VARIABLE = "KUBECTL_LOCALIZE_HOME"


class UnpackError(Exception):
    """The program cannot be unpacked: what is wrong, and what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def main() -> int:
    """Be `kubectl-localize`; return the exit code."""
    archive = sys.path[0]
    try:
        place = _place(archive)
    except UnpackError as failure:
        print(f"error: {failure}\nhint: {failure.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return CTRL_C
    sys.path[0] = place  # in the archive's stead, which an upgrade may replace while this runs
    sys.path_importer_cache.pop(archive, None)
    from kubectl_localize.cli.main import main as program

    return program()


def _place(archive: str) -> str:
    """Return the directory to import the packages from."""
    if is_sudo(os.geteuid(), os.environ):  # refused, and so no reason to leave root's files in somebody's home
        return os.path.join(archive, PACKAGES.rstrip("/"))
    build, platform = _read_build(archive)
    system = os.uname()
    check_platform(platform, system.sysname, system.machine, _libc(system.sysname))
    return ready(archive, os.path.join(home(os.environ), "program"), build)


def _read_build(archive: str) -> list[str]:
    import zipimport

    return zipimport.zipimporter(archive).get_data(os.path.join(archive, BUILD)).decode().split()


def _libc(system: str) -> str:
    """Return the C library and its version, as in `glibc 2.36`; empty if it is another one, or does not say."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "" if system == "Linux" else ""
    except (OSError, ValueError):
        return ""


def check_platform(wanted: str, system: str, machine: str, libc: str) -> None:
    """Make sure that the C extensions in an archive can be loaded here.

    Args:
        wanted: the platform that the archive was built for, as in `linux-amd64`.
        system: uname's name of the system.
        machine: uname's name of the processor.
        libc: the C library, as in `glibc 2.36`.

    Raises:
        UnpackError: they cannot be loaded.
    """
    here = f"{system.lower()}-{ARCHITECTURES.get(machine, machine)}"
    if here != wanted:
        raise UnpackError(
            f"this file is kubectl localize for {wanted}, and this machine is {here}",
            f"take the file for {here}, or install it with pipx",
        )
    if system == "Linux" and not libc.startswith("glibc"):
        raise UnpackError(
            "this file needs a Linux with glibc, and this one has another C library",
            "install it with pipx, which takes packages that fit",
        )


def is_sudo(effective_uid: int, environ: Mapping[str, str]) -> bool:
    """Whether an ordinary user started this through sudo, by the same rule as the program itself."""
    return effective_uid == 0 and environ.get("SUDO_UID", "0") not in ("", "0")


def home(environ: Mapping[str, str]) -> str:
    """Return the directory of this user's state, by the same rule as `kubectl_localize.host.paths`."""
    chosen = environ.get(HOME_VARIABLE)
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    return os.path.abspath(os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".kube", "localize"))


def ready(archive: str, directory: str, build: str, wait_seconds: float = WAIT_SECONDS) -> str:
    """Unpack a build unless that is done already, and delete those that no process runs from.

    Args:
        archive: the file to unpack.
        directory: what all builds are below.
        build: the build's name.
        wait_seconds: how long another process may take to unpack it, before this one does so as well.

    Returns:
        The build's own directory.

    Raises:
        UnpackError: it cannot be unpacked, or another user may have put code there.
    """
    place = os.path.join(directory, build)
    try:
        while not hold(place):
            _unpack(archive, directory, place, wait_seconds)
        for path in (os.path.dirname(directory), directory, place):
            _check_private(path)
        if len(os.listdir(directory)) > 2:  # more than this build and the lock
            with contextlib.suppress(OSError), _only_one(directory, 0) as alone:
                if alone:
                    clean(directory, build)
    except OSError as failure:
        raise _cannot(directory, failure) from failure
    return place


def _check_private(path: str) -> None:
    """Make sure that nobody else can put code into a directory that code is run from, or another one in its place.

    Raises:
        UnpackError: it belongs to another user, or others may write to it.
    """
    status = os.stat(path)
    if status.st_uid != os.geteuid():
        raise UnpackError(f"{path} belongs to another user", f"delete it, or set {HOME_VARIABLE} to your own")
    if status.st_mode & OTHERS_WRITE:
        raise UnpackError(
            f"others may write to {path}, which code is run from (mode {status.st_mode & 0o7777:04o})",
            f"look what is in it, then run `chmod go-w {path}`, or set {HOME_VARIABLE} to a directory of your own",
        )


def _unpack(archive: str, directory: str, place: str, wait_seconds: float) -> None:
    before = os.umask(0o077)
    try:
        os.makedirs(directory, exist_ok=True)
        with _only_one(directory, wait_seconds):  # without the lock as well: the quicker one renames into place
            if not os.path.exists(os.path.join(place, HELD)):  # else another process has done it while this one waited
                if os.path.exists(place):  # incomplete: files were deleted there
                    _set_aside(directory, place)
                _unpack_alone(archive, directory, place)
    finally:
        os.umask(before)


def _set_aside(directory: str, place: str) -> None:
    """Delete a build. It is renamed first, so that a process which is just starting it never sees half of it."""
    import shutil
    import tempfile

    aside = tempfile.mkdtemp(prefix=TEMPORARY, dir=directory)
    os.rename(place, os.path.join(aside, os.path.basename(place)))
    shutil.rmtree(aside, ignore_errors=True)


def _unpack_alone(archive: str, directory: str, place: str) -> None:
    import shutil
    import tempfile
    import zipfile
    import zlib

    new = tempfile.mkdtemp(prefix=TEMPORARY, dir=directory)
    try:
        with zipfile.ZipFile(archive) as content:
            for name in content.namelist():
                if name.startswith(PACKAGES):
                    _write(os.path.join(new, name.removeprefix(PACKAGES)), content.read(name))
        _write(os.path.join(new, HELD), b"")
        _sync(new)
        os.rename(new, place)
    except OSError as failure:
        shutil.rmtree(new, ignore_errors=True)
        if failure.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # without locks, another process was quicker
            raise
    except (zipfile.BadZipFile, zlib.error) as failure:
        shutil.rmtree(new, ignore_errors=True)
        raise UnpackError(f"{archive} is damaged: {failure}", "download it again") from failure
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "xb") as file:
        file.write(content)


def _sync(directory: str) -> None:
    """Wait until the files are on the disk: a power failure could leave a complete directory of empty files."""
    for path, _, names in os.walk(directory):
        for name in names:
            descriptor = os.open(os.path.join(path, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _cannot(directory: str, failure: OSError) -> UnpackError:
    reason = failure.strerror or str(failure)
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"free some space (it takes about 5 MB), or set {HOME_VARIABLE} to a directory on another disk"
    else:
        hint = f"make it writable, or set {HOME_VARIABLE} to a directory that is"
    return UnpackError(f"kubectl localize cannot be unpacked to {directory}: {reason}", hint)


@contextlib.contextmanager
def _only_one(directory: str, wait_seconds: float) -> Iterator[bool]:
    """Lock the directory; yield whether that worked.

    The wait is bounded, since the holder may be stopped (Ctrl-Z). There are file systems without locks, too.

    Args:
        directory: what all builds are below.
        wait_seconds: how long to wait for another process that holds the lock.
    """
    deadline = time.monotonic() + wait_seconds
    descriptor = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not (locked := _try_lock(descriptor)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield locked
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def clean(directory: str, build: str) -> None:
    """Delete what killed processes left half unpacked, and other builds that no process runs from.

    The directory's lock has to be held: then no live process is unpacking.

    Args:
        directory: what all builds are below.
        build: the one that stays.
    """
    import shutil

    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name.startswith(TEMPORARY):
            shutil.rmtree(path, ignore_errors=True)
        elif name not in (build, LOCK):
            with _unused(path) as unused:
                if unused:
                    _set_aside(directory, path)


@contextlib.contextmanager
def _unused(path: str) -> Iterator[bool]:
    """Yield whether no process runs from this build; none can start to before the block ends."""
    try:
        descriptor = os.open(os.path.join(path, HELD), os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)
