"""Settings for all unit tests, and the hook that runs `async def test_…` on the supervisor's event loop."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import settings

from tests.unit.supervisor.loop import play

# An example may take as long as a busy machine takes for it; a test that hangs has pytest's own time limit.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run a test that is a coroutine function; any other is left to pytest."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    play(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
