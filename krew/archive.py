"""An archive as Krew installs it: a file that carries its packages, and the licence; always the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

from krew.carried.unpack import BUILD, PACKAGES

CARRIED = Path(__file__).resolve().parent / "carried"
PROGRAM = "kubectl-localize"
STARTER = "kubectl_localize_start.py"  # kubectl_localize/host/process.py looks for it
INTERPRETER = b"#!/usr/bin/env python3\n"
EPOCH_SECONDS = 315532800  # 1980, the earliest time that a zip file can say; what is built twice is the same
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_GZIP_LEVEL = 9


def program(version: str, platform: str, packages: dict[str, bytes]) -> bytes:
    """Return the executable file.

    Args:
        version: the product's.
        platform: the platform's name.
        packages: the content of the files that it carries, the product's own included, by path.
    """
    inside = {**packages, STARTER: (CARRIED / "start.py").read_bytes()}
    entries = {
        "__main__.py": (CARRIED / "__main__.py").read_bytes(),
        "krew/__init__.py": b"",
        **{f"krew/carried/{name}.py": (CARRIED / f"{name}.py").read_bytes() for name in ("older", "start", "unpack")},
        "krew/carried/__init__.py": b"",
        BUILD: f"{version}-{_digest(inside)} {platform}\n".encode(),
        **{PACKAGES + name: content for name, content in inside.items()},
    }
    out = io.BytesIO(INTERPRETER)
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "w") as file:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.create_system = 3  # Unix, whatever it is built on
            info.external_attr = 0o100644 << 16
            file.writestr(info, entries[name], zipfile.ZIP_DEFLATED, _GZIP_LEVEL)
    return out.getvalue()


def _digest(entries: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(entries):
        total.update(f"{name}\0{len(entries[name])}\0".encode() + entries[name])
    return total.hexdigest()[:12]


def archive(executable: bytes, licence: bytes) -> bytes:
    """Return the tar.gz with both: regular files at its top, as Krew wants them."""
    return packed([(PROGRAM, executable, 0o755), ("LICENSE", licence, 0o644)])


def packed(files: list[tuple[str, bytes, int]]) -> bytes:
    """Return a tar.gz that depends only on its files: no time, no user, no machine.

    Args:
        files: path, content and mode of each.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content, mode in sorted(files):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), mode, EPOCH_SECONDS
            tar.addfile(info, io.BytesIO(content))
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=out, mtime=0) as zipped:
        zipped.write(plain.getvalue())
    return out.getvalue()
