"""Keeps OpenSSL out of a supervisor, which speaks with its own machine only: kubectl and ssh encrypt."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import cast

# The hashes that Python has of its own (Modules/Setup); _sha2 holds those of _sha256 and _sha512 since Python 3.12.
_SHA2 = ("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")
_OWN_HASHES = (*_SHA2, "_md5", "_sha1", "_sha3", "_blake2")


def import_without_openssl() -> None:
    """Import asyncio and hashlib as on a Python without OpenSSL, which both support: 4 MB less, and 5 ms sooner.

    To be called before they are imported. Whoever imports `ssl` later gets it.
    """
    hidden = [name for name in ("ssl", "_hashlib") if name not in sys.modules]
    if not _has_own_hashes():  # Fedora's
        return
    none = cast("ModuleType", None)  # an import of a name that stands for None fails
    sys.modules.update(dict.fromkeys(hidden, none))
    try:
        importlib.import_module("asyncio")
        importlib.import_module("hashlib")
    finally:
        for name in hidden:
            del sys.modules[name]


def _has_own_hashes() -> bool:
    try:
        for name in _OWN_HASHES:
            importlib.import_module(name)
    except ImportError:
        return False
    return True
