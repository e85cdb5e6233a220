"""What sudo is asked for, in words."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cli.start import wishes


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"hosts": True, "ports": [], "addresses": False}, ["write names to /etc/hosts"]),
        ({"hosts": False, "ports": [80], "addresses": False}, ["bind port 80"]),
        ({"hosts": True, "ports": [80, 443]}, ["write names to /etc/hosts", "bind ports 80, 443"]),
        ({"hosts": False, "ports": list(range(80, 87))}, ["bind ports 80, 81, 82, 83, 84 and 2 more"]),
        ({"hosts": False, "ports": [], "addresses": True}, ["add addresses to the loopback interface"]),
    ],
)
def test_wishes(needs: dict[str, Any], expected: list[str]) -> None:
    assert wishes(needs, "/etc/hosts") == expected
