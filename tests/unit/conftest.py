"""Settings for all unit tests."""

from __future__ import annotations

from hypothesis import settings

# An example may take as long as a busy machine takes for it; a test that hangs has pytest's own time limit.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
