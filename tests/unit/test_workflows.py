"""The workflows run only targets that the Makefile has, by pinned actions and with no more rights than needed."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))


def load(workflow: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(workflow.read_text())
    return found


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in load(workflow)["jobs"].values() for step in job["steps"]]


def targets(line: str) -> list[str]:
    """The targets of a `make` line, which may begin with `sudo --preserve-env=…` and set variables."""
    words = shlex.split(line)
    if words[0] == "sudo":
        words = [word for word in words[1:] if not word.startswith("--")]
    assert words[0] == "make", f"not a target of the Makefile: {line}"
    return [word for word in words[1:] if "=" not in word]


def is_target(name: str) -> bool:
    """Whether make knows what to do for it."""
    argv = ["make", "--dry-run", "--question", "--no-print-directory", name]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    return "No rule to make target" not in done.stderr


def test_there_are_two() -> None:
    assert [workflow.name for workflow in WORKFLOWS] == ["release.yml", "test.yml"]


def test_a_target_that_is_not_there_is_noticed() -> None:
    assert is_target("unit")
    assert not is_target("no-such-target")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_every_command_is_a_target_of_the_makefile(workflow: Path) -> None:
    lines = [line for step in steps(workflow) for line in step.get("run", "").splitlines()]
    assert lines
    wanted = [name for line in lines for name in targets(line)]
    assert len(wanted) >= len(lines)
    assert [name for name in wanted if not is_target(name)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_actions_are_pinned_by_digest_with_their_version_beside(workflow: Path) -> None:
    lines = [line.strip("- ").strip() for line in workflow.read_text().splitlines() if "uses:" in line]
    assert len(lines) == sum("uses" in step for step in steps(workflow)) > 0
    for line in lines:
        assert re.fullmatch(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_only_the_release_may_write(workflow: Path) -> None:
    found = load(workflow)
    assert found["permissions"] == {"contents": "read"}
    given = {name: job["permissions"] for name, job in found["jobs"].items() if "permissions" in job}
    assert given == ({"release": {"contents": "write"}} if workflow.stem == "release" else {})


def test_a_release_is_tested_before_it_is_uploaded() -> None:
    (release,) = (workflow for workflow in WORKFLOWS if workflow.stem == "release")
    order = [name for step in steps(release) for name in targets(step.get("run", "make"))]
    assert order.index("test") < order.index("dist") < order.index("upload")
    assert load(release)[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 takes `on` for a truth value
