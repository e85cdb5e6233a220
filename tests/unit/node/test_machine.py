"""What two looks at the machine tell about the tests' node, and what is somebody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cluster.machine import Machine, without_counters

NOTHING: frozenset[str] = frozenset()
EMPTY = Machine(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (":DOCKER - [12:3456]", ":DOCKER - "),
        ("[0:0] -A INPUT -i lo -j ACCEPT", " -A INPUT -i lo -j ACCEPT"),
        ("-A INPUT -s 10.0.0.0/8 -j DROP", "-A INPUT -s 10.0.0.0/8 -j DROP"),
    ],
)
def test_counters_of_a_firewalls_rules_do_not_count(rule: str, text: str) -> None:
    assert without_counters(rule) == text


def test_what_a_node_leaves_is_told() -> None:
    after = replace(EMPTY, links=frozenset({"lz-dev"}), files=frozenset({"/run/containerd"}))
    assert after.changes_since(EMPTY) == ["links: + lz-dev", "files: + /run/containerd"]


def test_what_others_do_where_they_were_before_is_not() -> None:
    before = replace(
        EMPTY,
        files=frozenset({"/run/docker/one"}),
        links=frozenset({"veth12"}),
        mounts=frozenset({"/run/containerd/a"}),
    )
    after = replace(
        EMPTY,
        files=frozenset({"/run/docker/two"}),
        links=frozenset({"veth34"}),
        mounts=frozenset({"/var/tmp/localize-node/selftest/containerd"}),
    )
    assert after.changes_since(before) == ["mounts: + /var/tmp/localize-node/selftest/containerd"]
