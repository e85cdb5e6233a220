"""A hosts file that several contexts' helpers, and people, write: others' text stays, and each block is right."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from kubectl_localize.host.helper import HostsFile
from kubectl_localize.host.hosts import block_body, render_block
from kubectl_localize.host.hosts_scan import HostsScanner, pieces
from kubectl_localize.model import HostsLine
from tests.unit.fuzz.effort import effort

KEYS = st.sampled_from(["one-1a2b3c4d", "two-1a2b3c4d", "three-3", "one-1a2b3c4d-x"])
NAMES = st.sampled_from(["web", "web.shop", "db.shop", "web.shop.svc.cluster.local."])
LINES = st.lists(
    st.builds(HostsLine, st.sampled_from(["127.71.4.19", "127.71.4.20"]), st.lists(NAMES, min_size=1).map(tuple)),
    max_size=3,
)
# No line of it is one that we would write: those are ours to remove.
THEIR_LINES = st.lists(
    st.sampled_from(
        [b"", b"#", b"10.0.0.1 web", b"# web.shop", b"\xff\xfe", b"\xc2\x85 x", b"\r", b" \t", b"::1 db.shop"]
    ),
    max_size=4,
).map(b"\n".join)


class HostsFileMachine(RuleBasedStateMachine):
    """A file, and what each context and its users have last written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._path = Path(self._directory.name) / "hosts"
        self._others = b""
        self._blocks: dict[str, list[HostsLine]] = {}

    @initialize(text=THEIR_LINES)
    def begin(self, text: bytes) -> None:
        self._path.write_bytes(text)
        self._others = text

    @rule(key=KEYS, lines=LINES)
    def write(self, key: str, lines: list[HostsLine]) -> None:
        """A helper writes its block."""
        HostsFile(str(self._path)).replace(key, render_block(key, "kind-dev", lines))
        self._blocks.pop(key, None)
        if lines:
            self._blocks[key] = lines

    @rule(key=KEYS)
    def leave(self, key: str) -> None:
        """A helper ends, or the next command cleans up after one that was killed."""
        HostsFile(str(self._path)).replace(key, "")
        self._blocks.pop(key, None)

    @rule(text=THEIR_LINES.filter(bool))
    def append(self, text: bytes) -> None:
        """Somebody adds whole lines at the end."""
        text += b"\n"
        before = self._path.read_bytes()
        if self._others and not self._others.endswith(b"\n"):
            self._others += b"\n"  # whose newline it was is not known any more
            before += b"" if before.endswith(b"\n") else b"\n"
        self._path.write_bytes(before + text)
        self._others += text

    @invariant()
    def others_text_stays(self) -> None:
        text = self._path.read_bytes().decode("utf-8", "surrogateescape")
        for key in self._blocks:
            begin = text.index(f"# >>> kubectl localize {key} (")
            end_marker = f"# <<< kubectl localize {key} <<<\n"
            end = text.index(end_marker, begin) + len(end_marker)
            text = text[:begin] + text[end:]
        left = text.encode("utf-8", "surrogateescape")
        added = b"\n" if self._blocks and self._others and not self._others.endswith(b"\n") else b""
        assert left == self._others + added

    @invariant()
    def each_block_is_whole(self) -> None:
        data = self._path.read_bytes()
        for key, lines in self._blocks.items():
            assert data.count(block_body(key, lines).encode()) == 1
            scanner = HostsScanner(key, lines, ["web", "web.shop"])
            for piece in pieces(io.BytesIO(data), 512):
                scanner.feed(piece)
            assert scanner.end().holds_block

    def teardown(self) -> None:
        self._directory.cleanup()


def test_a_hosts_file_of_several_writers() -> None:
    run_state_machine_as_test(HostsFileMachine, settings=effort(200, 15))
