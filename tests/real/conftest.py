"""The cluster, a namespace and a sandbox for each test, and what becomes of the tests that a cluster cannot run."""

from __future__ import annotations

import functools
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.commands import ClusterError, wait_until
from tests.cluster.node import Node
from tests.cluster.paths import Cache
from tests.cluster.prepare import Preparation
from tests.environment import Environment
from tests.real.cluster import Cluster
from tests.real.product import Product
from tests.real.sandbox import Sandbox, open_sandbox
from tests.real.shop import Shop, open_shop
from tests.real.traffic import Figure
from tests.releases import Releases
from tests.requirements import missing
from tests.shells import Shells

NODE = "LOCALIZE_TEST_NODE"  # a node that is up already and stays up; without it the tests start and stop their own
OWN_NODE = "test"
FOREIGN = "LOCALIZE_TEST_KUBECONFIG"
NOT_RUN = pytest.StashKey[set[str]]()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _own_node(config: pytest.Config) -> bool:
    """Whether these tests start a node, and so have to stop it."""
    return not (config.option.collectonly or os.environ.get(FOREIGN) or os.environ.get(NODE))


def pytest_configure(config: pytest.Config) -> None:
    """Keep the list of tests that this cluster cannot run."""
    config.stash.setdefault(NOT_RUN, set())


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install the product, and start the tests' own node, once for all workers."""
    config = session.config
    if _is_worker(config) or config.option.collectonly:
        return
    text = missing()
    if text is not None:
        pytest.exit(text, returncode=1)
    try:
        Environment.of_checkout().make()
        Environment.of_checkout().old_kubectl()  # here, where no test's time runs: the first time it is built
        if not os.environ.get(FOREIGN):
            Shells.of_checkout()  # likewise
        if _own_node(config):
            Preparation(Cache.default()).all()
            Node(OWN_NODE, Cache.default()).up()
    except ClusterError as error:
        pytest.exit(f"the tests' cluster did not start: {error}", returncode=1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take the tests' own node down, whatever became of the tests."""
    config = session.config
    left_out = config.stash[NOT_RUN]
    if _is_worker(config):
        config.workeroutput["not_run"] = sorted(left_out)  # type: ignore[attr-defined]
        return
    if _own_node(config):
        Node(OWN_NODE, Cache.default()).down()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs control of the node, or sudo, if there is none."""
    lacking = {name for name, lacks in (("node", os.environ.get(FOREIGN)), ("sudo", os.geteuid() != 0)) if lacks}
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in lacking)]
    if left_out:
        config.stash[NOT_RUN].update(item.nodeid for item in left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over a worker's list of what it left out."""
    node.config.stash[NOT_RUN].update(getattr(node, "workeroutput", {}).get("not_run", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the figures that tests have measured, and name what was left out."""
    # By test: workers end theirs in any order, and some figures are rows of a table.
    found = [
        (report.nodeid, text)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, text in getattr(report, "user_properties", ())
        if name == "figure" and report.when == "call"
    ]
    figures = [text for _, text in sorted(found, key=lambda one: one[0])]
    if figures:
        terminalreporter.section("figures")
        for text in figures:
            terminalreporter.line(text)
    left_out = config.stash[NOT_RUN]
    if left_out:
        terminalreporter.section("not run: these need control of the cluster's node, or root on this machine")
        for name in sorted(left_out):
            terminalreporter.line(name)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Shows a line at the end of all tests, and returns it."""

    def show(text: str) -> str:
        record_property("figure", text)
        return text

    return show


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that all tests share."""
    foreign = os.environ.get(FOREIGN)
    if foreign:
        return Cluster.foreign(Path(foreign))
    return Cluster.of_node(Node(os.environ.get(NODE, OWN_NODE), Cache.default()))


@pytest.fixture(scope="session")
def old_kubectl() -> Path:
    """A directory for the PATH whose kubectl is of 1.31, which every user can run."""
    return Environment.of_checkout().old_kubectl()


@pytest.fixture(scope="session")
def releases() -> Releases:
    """The releases, which are built when a test first asks for them."""
    return Releases.of_checkout()


def _fresh_namespace(cluster: Cluster, stack: ExitStack) -> str:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.make_namespace(name)
    stack.callback(cluster.kubectl, "delete", "namespace", name, "--wait=false")
    return name


@pytest.fixture
def namespaces(cluster: Cluster) -> Iterator[Callable[[], str]]:
    """Makes fresh namespaces, which go after the test."""
    with ExitStack() as stack:
        yield lambda: _fresh_namespace(cluster, stack)


@pytest.fixture
def namespace(namespaces: Callable[[], str]) -> str:
    """A fresh namespace."""
    return namespaces()


@pytest.fixture(scope="session")
def shop(cluster: Cluster) -> Iterator[Shop]:
    """Services of every kind, which no test changes."""
    with ExitStack() as stack:
        yield open_shop(cluster, _fresh_namespace(cluster, stack), _fresh_namespace(cluster, stack))


@pytest.fixture(scope="session")
def laptop(cluster: Cluster, shop: Shop) -> Iterator[Product]:
    """A laptop with the shop forwarded, the shop's namespace being the context's; no test changes anything there."""
    with open_sandbox() as sandbox:
        _use(sandbox, _kubeconfig(cluster))
        sandbox.kubectl("config", "set-context", "--current", f"--namespace={shop.namespace}")
        before = sandbox.hosts.read_bytes()
        product = Product(sandbox)
        try:
            product.detach("-n", shop.namespace, "-n", shop.other)
            yield product
            product.stop()
            found = _untidiness(sandbox, before)
        finally:
            sandbox.kill_all(sandbox.processes())
    assert not found, found


@functools.cache
def _kubeconfig(cluster: Cluster) -> dict[str, Any]:
    """The administrator's kubeconfig, in a form that may be copied anywhere."""
    config: dict[str, Any] = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o=json"))
    return config


def _use(sandbox: Sandbox, config: dict[str, Any]) -> None:
    """Make it the sandbox's user's own, under a new name.

    Addresses depend on context and user. Sandboxes share this machine's loopback, and may share their user's number.
    """
    name = f"lab-{uuid.uuid4().hex[:8]}"
    context = {**config["contexts"][0], "name": name}
    sandbox.use(json.dumps({**config, "contexts": [context], "current-context": name}))


@pytest.fixture
def sandboxes(cluster: Cluster) -> Iterator[Callable[..., Sandbox]]:
    """Makes laptops that use the cluster as administrator; the test fails when one is not left as it was.

    sandboxes(sudo="none") says how sudo answers, sandboxes(tidy=False) that the test leaves things on purpose.
    """
    config = _kubeconfig(cluster)
    checks: list[Callable[[], str]] = []
    with ExitStack() as stack:

        def make(sudo: str = "nopasswd", tidy: bool = True) -> Sandbox:
            sandbox = stack.enter_context(open_sandbox(sudo))
            _use(sandbox, config)
            before = sandbox.hosts.read_bytes()
            checks.append(lambda: _untidiness(sandbox, before) if tidy else "")
            stack.callback(lambda: sandbox.kill_all(sandbox.processes()))
            return sandbox

        yield make
        found = [text for text in (check() for check in checks) if text]
    assert not found, "\n".join(found)


def _untidiness(sandbox: Sandbox, hosts: bytes) -> str:
    """What a test left behind in its sandbox; it gets two seconds to end by itself."""
    try:
        wait_until("end of the sandbox's processes", lambda: not sandbox.processes(), 2)
        wait_until("hosts file as before", lambda: sandbox.hosts.read_bytes() == hosts, 2)
    except ClusterError as error:
        return f"left behind: {error}; {sandbox.processes()}; {sandbox.hosts.read_text()!r}"
    return ""


@pytest.fixture
def sandbox(sandboxes: Callable[..., Sandbox]) -> Sandbox:
    """A laptop whose user may use sudo without a password."""
    return sandboxes()


@pytest.fixture
def product(sandbox: Sandbox) -> Product:
    """The product there."""
    return Product(sandbox)
