"""`python -m krew dist`: everything that a release uploads. `python -m krew tlds SOURCE`: the list of domains anew."""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from krew import release, tlds
from krew.commands import BuildError

CHECKOUT = Path(__file__).resolve().parent.parent
NOBODYS = "https://github.com/OWNER/kubectl-localize"  # until the project has a home


def main(words: list[str]) -> int:
    """Run a command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m krew", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    dist = commands.add_parser("dist", help="build what a release uploads")
    dist.add_argument("--repository", default=NOBODYS, metavar="URL", help="the project's home, for Krew's manifest")
    dist.add_argument("--out", type=Path, default=CHECKOUT / "dist", metavar="DIR")
    domains = commands.add_parser("tlds", help="refresh the list of top-level domains")
    domains.add_argument("source", help="file or URL of IANA's list or the Public Suffix List")
    args = parser.parse_args(words)
    try:
        if args.command == "tlds":
            print(tlds.refresh(args.source, CHECKOUT, datetime.now(UTC).date()))
        else:
            build_release(args.out, args.repository)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build_release(out: Path, repository: str) -> None:
    """Build a release into an empty directory, and list its files.

    Raises:
        BuildError: something cannot be downloaded or built.
    """
    shutil.rmtree(out, ignore_errors=True)
    built = release.build(CHECKOUT, out, CHECKOUT / "build" / "carried")
    manifest = release.describe(CHECKOUT, built, out, repository)
    if out == CHECKOUT / "dist":
        shutil.copyfile(manifest, CHECKOUT / "krew" / manifest.name)
    for file in sorted(out.iterdir()):
        print(f"{file.stat().st_size:>9}  {file}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
