"""A cluster that means no good: nothing that it says steers a terminal, forges a line, or gets into a file as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.real.hostile_server import hostile_server, kubeconfig
from tests.real.product import Done, Product
from tests.real.sandbox import Sandbox

LONGEST_LINE = 25_000  # characters; what the server calls things has 80,000


def _check(done: Done) -> None:
    """Everything that was printed is lines of printable characters; no stack trace."""
    for text in (done.stdout, done.stderr):
        assert text.replace("\n", "").replace("\t", "").isprintable(), ascii(text[:2000])
        assert "Traceback" not in text, text[:2000]
        assert not any(line.startswith("forged") for line in text.splitlines()), text[:2000]
    assert max(map(len, done.stderr.splitlines()), default=0) < LONGEST_LINE


def test_what_a_hostile_cluster_says_is_printed_as_lines(product: Product) -> None:
    sandbox = product.sandbox
    with hostile_server() as url:
        sandbox.use(kubeconfig(url))
        started = sandbox.localize("-d", timeout=90)
        _check(started)
        assert started.returncode == 0, ascii(started.stderr[:2000])
        services = product.items()
        assert sorted(services) == ["shop/headless", "shop/web"]  # no API server allows the others
        for argv in (
            ("ls",), ("ls", "-o", "wide"), ("ls", "-o", "name"), ("ls", "nothing"), ("-d",), ("version",),
            ("ls", "--all"), ("ls", "--cluster"), ("ls", "-o", "jsonpath={.items[*].labels}"),
            ("-n", "nothing"), ("shop/wbe",),
            ("restore",), ("restore", "--dry-run"), ("expose", "shop/web"), ("expose", "--dry-run", "shop/web"),
        ):  # fmt: skip
            _check(sandbox.localize(*argv))
        for output, parse in (("json", json.loads), ("yaml", yaml.safe_load)):
            done = sandbox.localize("ls", "-o", output)
            _check(done)
            assert {item["name"] for item in parse(done.stdout)["items"]} == {"headless", "web"}
        _check(sandbox.run("kubectl-localize", "__complete", "shop/"))
        _check(sandbox.run("kubectl-localize", "__complete", "--context", ""))
        _check(sandbox.localize("stop"))
        _check(sandbox.localize("logs"))
    _check_files(sandbox)
    assert not (sandbox.root / "tmp" / "owned").exists()


def test_nor_does_it_steer_a_terminal(product: Product) -> None:
    with hostile_server() as url:
        product.sandbox.use(kubeconfig(url))
        terminal = product.sandbox.pty("kubectl", "localize")
        try:
            terminal.expect("Ctrl-C ends it")
            watching = product.sandbox.pty("kubectl", "localize", "ls", "-w")
            try:
                watching.expect("web")
                watching.send("\x03")
                watching.wait()
            finally:
                watching.close()
            terminal.send("\x03")
            terminal.wait()
        finally:
            terminal.close()
    for shown in (terminal.raw, watching.raw):
        for sequence in ("\x1b[2J", "\x1b]", "\x9b", "\u202e", "\u200b", "\x00", "\x7f"):
            assert sequence not in shown, ascii(shown[:2000])
        assert not any(line.startswith("forged") for line in shown.splitlines())


def _check_files(sandbox: Sandbox) -> None:
    """No file has a name, or a line of the log, that is not printable."""
    for path in sorted((sandbox.home / ".kube").rglob("*")):
        assert path.name.isprintable(), ascii(path.name)
        if path.name.startswith("supervisor.log"):
            assert path.read_text().replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["namespaces", "services"])
def test_names_that_a_shell_may_take_for_more_are_not_offered(name: str, product: Product) -> None:
    with hostile_server() as url:
        product.sandbox.use(kubeconfig(url))
        words = ("-n", "") if name == "namespaces" else ("shop/",)
        done = product.sandbox.run("kubectl-localize", "__complete", *words, timeout=30)
    _check(done)
    assert "$(" not in done.stdout
    assert ".." not in done.stdout
    assert Path("/tmp/owned").exists() is False
