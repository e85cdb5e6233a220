"""Programs that play many clients at once, good and bad ones; each is `python3 -c PROGRAM HOST PORT COUNT …`."""

from __future__ import annotations

# COUNT new connections, AT_ONCE at a time, each with a request: says how many were not answered, and how the first one.
ASK = r"""
import asyncio, resource, sys
host, port, count, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
lost = []
async def ask():
    try:
        async with asyncio.timeout(90):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            if b" 200 " not in head or len(await reader.readexactly(length)) != length: raise EOFError(head)
            writer.close()
    except (OSError, EOFError, TimeoutError) as error: lost.append(repr(error))
async def some(turns):
    for _ in turns: await ask()
async def main():
    turns = iter(range(count))
    await asyncio.gather(*(some(turns) for _ in range(at_once)))
asyncio.run(main())
print(len(lost), lost[:1])
"""

# COUNT clients ask for 50 MB, read one of them, and go: half with a close, half with a reset.
ABORT = r"""
import socket, struct, sys
from concurrent.futures import ThreadPoolExecutor
def abort(number):
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as connection:
            connection.sendall(b"GET /bytes?n=50000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            left = 1000000
            while left > 0 and (block := connection.recv(65536)): left -= len(block)
            if number % 2: connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return left > 0
    except OSError: return True
with ThreadPoolExecutor(20) as pool: print(sum(pool.map(abort, range(int(sys.argv[3])))))
"""

# COUNT clients ask for 50 MB each and read nothing, until the program's input ends.
NEVER_READ = r"""
import socket, sys
connections = []
for _ in range(int(sys.argv[3])):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((sys.argv[1], int(sys.argv[2])))
    connection.sendall(b"GET /bytes?n=50000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    connections.append(connection)
print("all wait", flush=True)
sys.stdin.read()
"""

# COUNT clients ask, say that they have no more to say, and read to the end: says how many had no whole answer.
HALF_CLOSE = r"""
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def ask(number):
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as connection:
            connection.sendall(b"GET /bytes?n=10000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while block := connection.recv(65536): answer += block
            return len(answer.partition(b"\r\n\r\n")[2]) != 10000
    except OSError: return True
count = int(sys.argv[3])
with ThreadPoolExecutor(count) as pool: print(sum(pool.map(ask, range(count))))
"""
