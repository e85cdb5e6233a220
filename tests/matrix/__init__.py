"""The core of the suite with every kubectl and every Python that is supported; see `python -m tests.matrix`."""
