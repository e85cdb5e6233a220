"""What connections share: the memory that they are read into, and the counters of a port."""

from __future__ import annotations

import asyncio

BUFFER_BYTES = 256 * 1024
RETAINED_BYTES = 16 * 1024


class ReadBuffer:
    """The memory that all sockets are read into, one after the other, as each read is written on at once.

    asyncio (3.12 and later) keeps a reference to what it could not write at once; that memory is given away then.

    Attributes:
        reads: how often something was read; it grows with any traffic.
    """

    def __init__(self) -> None:
        self.reads = 0
        self._view = memoryview(bytearray(BUFFER_BYTES))

    def get(self) -> memoryview:
        """Return the memory to read into."""
        self.reads += 1
        return self._view

    def write(self, transport: asyncio.Transport, count: int) -> None:
        """Write the first `count` bytes on."""
        data = self._view[:count]
        if count <= RETAINED_BYTES:
            transport.write(bytes(data))
            return
        transport.write(data)
        if transport.get_write_buffer_size():
            self._view = memoryview(bytearray(BUFFER_BYTES))


class Traffic:
    """Counts for `ls`.

    Attributes:
        bytes_in: bytes to the client.
        bytes_out: bytes from the client.
        open: connections that are open now.
        total: connections of all time.
    """

    def __init__(self) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self.open = 0
        self.total = 0
