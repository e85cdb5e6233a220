"""`python -m kubectl_localize` is `kubectl-localize`."""

from __future__ import annotations

from kubectl_localize.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
