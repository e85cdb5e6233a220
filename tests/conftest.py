"""Settings for all tests: how a developer's shell or service started pytest changes nothing in them."""

from __future__ import annotations

import os
import signal

from tests.cluster.commands import without_proxy_for

# Each of these changes what kubectl, the product or a test's own program does.
PERSONAL_VARIABLES = (
    "KUBECONFIG",
    "KUBERC",
    "KUBECTL_KUBERC",
    "KUBECACHEDIR",
    "KUBECTL_LOCALIZE_HOME",
    "NO_COLOR",
    "PYTHONUNBUFFERED",
)


def pytest_configure() -> None:
    """Set signals, umask and environment as a fresh terminal has them; workers and children inherit them.

    A script's `make test &` hands SIGINT and SIGQUIT down ignored, and nohup SIGHUP: that one still does not end the
    tests, but what they start. A proxy stays, since downloads may need it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)  # a handler ends with exec, other than SIG_IGN
    os.umask(0o022)
    for name in PERSONAL_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(without_proxy_for("127.0.0.1", "localhost"))
