"""What shells and kubectl are told, in the words of each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KUBECONFIG = """
current-context: dev
contexts:
- {name: dev, context: {cluster: c}}
- {name: "arn:aws:eks:x/prod", context: {cluster: c}}
- {name: "with space", context: {cluster: c}}
"""


def _answer(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "config"
    if not config.exists():
        config.write_text(KUBECONFIG)
    env = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(config), "PATH": "/nowhere", **environ}
    argv = [sys.executable, "-m", "kubectl_localize", *arguments]
    return subprocess.run(argv, env=env, text=True, capture_output=True, timeout=60, check=False)


def _bash(tmp_path: Path, line: str, cursor: int | None = None) -> list[str]:
    point = len(line.encode()) if cursor is None else cursor
    breaks = "\"'@><=;|&(: \t\n"
    words = {"COMP_LINE": line, "COMP_POINT": str(point), "_ARGCOMPLETE_COMP_WORDBREAKS": breaks}
    return _answer(tmp_path, "__complete_bash", **words).stdout.splitlines()


def test_kubectl_is_told_values_and_what_they_are(tmp_path: Path) -> None:
    done = _answer(tmp_path, "__complete", "--detac")
    assert done.stdout == "--detach\treturn once everything listens; it runs in the background until stop\n:4\n"
    assert _answer(tmp_path, "__complete", "--context=ar").stdout == "arn:aws:eks:x/prod\n:4\n"
    assert _answer(tmp_path, "__complete", "--kubeconfig", "").stdout == ":0\n"
    assert _answer(tmp_path, "__complete").stdout.startswith("completion\t")


def test_fish_and_zsh_are_told_whole_words(tmp_path: Path) -> None:
    assert _answer(tmp_path, "__complete_fish", "--context=ar").stdout == "--context=arn:aws:eks:x/prod\t\n:4\n"
    assert _answer(tmp_path, "__complete_zsh", "--context=ar").stdout == "--context=arn\\:aws\\:eks\\:x/prod\n:4\n"
    assert _answer(tmp_path, "__complete_zsh", "ver").stdout.startswith(
        "version:print the versions of kubectl localize,"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("kubectl-localize ver", ["version"]),
        ("kubectl-localize  ls -o y", ["yaml"]),
        ("kubectl-localize --context ar", ["arn:aws:eks:x/prod"]),
        ("kubectl-localize --context arn:aws:e", ["eks:x/prod"]),
        ("kubectl-localize --context=ar", ["arn:aws:eks:x/prod"]),
        ("kubectl-localize --context wi", ["with\\ space"]),
        ("kubectl-localize --context 'wi", ["with space"]),
        ('kubectl-localize --context "arn:aws:e', ["arn:aws:eks:x/prod"]),
        ("/usr/local/bin/kubectl-localize ls -o y", ["yaml"]),
    ],
)
def test_bash_is_told_what_to_put_in(tmp_path: Path, line: str, expected: list[str]) -> None:
    assert _bash(tmp_path, line) == [*expected, ":4"]


def test_bash_counts_bytes_and_the_cursor_may_stand_within_the_line(tmp_path: Path) -> None:
    line = "kubectl-localize --context=ärger ls -o y --watch"
    assert _bash(tmp_path, line, len(line.removesuffix(" --watch").encode())) == ["yaml", ":4"]


@pytest.mark.parametrize("protocol", ["__complete_bash", "__complete_tcsh", "__completeNoDesc"])
def test_whatever_goes_wrong_nothing_is_seen(tmp_path: Path, protocol: str) -> None:
    """bash without the variables that it always sets, and shells that nobody knows."""
    done = _answer(tmp_path, protocol, "")
    assert (done.returncode, done.stdout, done.stderr) == (0, ":4\n", "")


def test_a_broken_kubeconfig_and_a_home_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("contexts: [")
    done = _answer(tmp_path, "__complete", "--context", "", HOME="/dev/null")
    assert (done.returncode, done.stdout, done.stderr) == (0, ":4\n", "")


def test_nobody_reads_the_answer(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "kubectl_localize", "__complete", ""]
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_programs_in_path(tmp_path: Path) -> None:
    for name, mode in (("localize-one", 0o755), ("localize-data", 0o644)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    done = _answer(tmp_path, "__complete", "expose", "web", "--", "localize-", PATH=f"/nowhere:{tmp_path}")
    assert done.stdout == "localize-one\n:0\n"


def test_the_commands_are_not_imported_for_it(tmp_path: Path) -> None:
    code = "import sys, kubectl_localize.cli.main as m; m.main(['__complete', 'ls', '']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60, check=True)
    modules = set(done.stdout.split())
    assert "kubectl_localize.cli.completion.candidates" in modules
    slow = {"sh", "tabulate", "psutil", "asyncio", "argparse", "argcomplete", "kubectl_localize.cli.arguments"}
    assert not modules & slow
