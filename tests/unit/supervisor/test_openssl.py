"""A supervisor without OpenSSL, in a Python of its own: what is imported here already would hide it."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
from kubectl_localize.supervisor.openssl import import_without_openssl
import_without_openssl()
import asyncio, hashlib
loaded = [name for name in ("ssl", "_ssl", "_hashlib") if name in sys.modules]

async def echo():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.close()
        return (await reader.read()).decode()

print(json.dumps([loaded, hashlib.sha256(b"localize").hexdigest(), asyncio.run(echo())]))
import ssl, hmac
print(ssl.SSLContext.__name__)
"""
# printf localize | sha256sum
DIGEST = "67722010c0ebf9e3e3fab09b1cf6cae7c67fb6900c98dff8a738b33cd409fcd1"


def test_asyncio_and_hashlib_work_without_openssl_and_later_imports_get_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert json.loads(first) == [[], DIGEST, ""]
    assert second == "SSLContext"
    assert done.stderr == ""
