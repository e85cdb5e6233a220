"""`python -m krew dist`: everything that a release uploads, in `dist/`."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from krew import release
from krew.commands import BuildError

CHECKOUT = Path(__file__).resolve().parent.parent
NOBODYS = "https://github.com/OWNER/kubectl-localize"  # until the project has a home


def main(words: list[str]) -> int:
    """Build a release; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m krew", description=__doc__)
    parser.add_argument("command", choices=["dist"])
    parser.add_argument("--repository", default=NOBODYS, metavar="URL", help="the project's home, for Krew's manifest")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "dist", metavar="DIR")
    args = parser.parse_args(words)
    shutil.rmtree(args.out, ignore_errors=True)
    try:
        built = release.build(CHECKOUT, args.out, CHECKOUT / "build" / "carried")
        path = release.describe(CHECKOUT, built, args.out, args.repository)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.out == CHECKOUT / "dist":
        shutil.copyfile(path, CHECKOUT / "krew" / path.name)
    for file in sorted(args.out.iterdir()):
        print(f"{file.stat().st_size:>9}  {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
