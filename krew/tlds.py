"""The list of top-level domains that the product carries, made anew from IANA's list or from the Public Suffix List."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path

from krew.commands import BuildError

TARGET = Path("kubectl_localize", "host", "tlds.txt")
FEWEST = 1000  # of about 1,440; a shorter list is an error page, or half a download

_LABEL = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]")
_ICANN_SECTION = re.compile(r"// ===BEGIN ICANN DOMAINS===(.*)// ===END ICANN DOMAINS===", re.DOTALL)
_DOWNLOAD_SECONDS = 60


def refresh(source: str, checkout: Path, today: date) -> Path:
    """Write the list anew.

    Args:
        source: a file or a URL: IANA's `tlds-alpha-by-domain.txt`, or the Public Suffix List.
        checkout: the repository.
        today: the day that the list's head names.

    Returns:
        The file that was written.

    Raises:
        BuildError: the source cannot be read, or is no such list.
    """
    domains = parse(_read(source))
    head = (
        "# The top-level domains of public DNS, one a line, sorted; international ones in their ASCII form.\n"
        f"# Made by `make tlds` on {today.isoformat()} from {source.rpartition('/')[2]}.\n"
    )
    path = checkout / TARGET
    path.write_text(head + "".join(f"{domain}\n" for domain in domains), encoding="ascii")
    return path


def parse(text: str) -> list[str]:
    """Return the top-level domains in a list of either format, sorted, in lower case and ASCII form.

    Of the Public Suffix List it is the last label of each rule in the ICANN section, which follows IANA's root zone.

    Raises:
        BuildError: it is neither list.
    """
    section = _ICANN_SECTION.search(text)
    comment = "//" if section else "#"
    lines = [line.strip() for line in (section[1] if section else text).splitlines()]
    labels = [line.split()[0].rpartition(".")[2] for line in lines if line and not line.startswith(comment)]
    try:
        domains = sorted({label.encode("idna").decode("ascii").lower() for label in labels})
    except UnicodeError as error:
        raise BuildError(f"not a list of top-level domains: {error}") from error
    strange = [domain for domain in domains if not _LABEL.fullmatch(domain)]
    if strange:
        raise BuildError(f"not a list of top-level domains: {strange[0]!r} is none")
    if len(domains) < FEWEST:
        raise BuildError(f"not a list of top-level domains: {len(domains)} instead of over {FEWEST}")
    return domains


def _read(source: str) -> str:
    try:
        if source.startswith(("http://", "https://")):
            with urllib.request.urlopen(source, timeout=_DOWNLOAD_SECONDS) as answer:
                return str(answer.read().decode("utf-8"))
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise BuildError(f"{source} cannot be read: {reason}") from error
