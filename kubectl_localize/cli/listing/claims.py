"""How `ls --cluster` prints claims: as a table, or for scripts; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubectl_localize.cli.listing.table import NONE, age_text
from kubectl_localize.cluster.exposing.claims import Claim
from kubectl_localize.text import one_line

HEADER = ("NAMESPACE", "SERVICE", "WORKLOAD", "EXPOSED BY", "SINCE", "LAST SEEN", "FAILSAFE", "TAKE-OVER")
GAP = "   "
LONGEST_CELL = 200  # characters; the owner's names are theirs to choose


def text_of(claims: Sequence[Claim], output: str) -> str:
    """The claims in a format, ending in a newline unless that is empty.

    Args:
        output: the value of `-o`: table, wide, json, yaml or name.
    """
    if output == "json":
        return json.dumps(document(claims), indent=4) + "\n"
    if output == "yaml":
        import yaml

        return str(yaml.safe_dump(document(claims), sort_keys=False))
    if output == "name":
        return "".join(f"{service}\n" for service in dict.fromkeys(_services(claims)))
    return _table(claims)


def document(claims: Sequence[Claim]) -> dict[str, Any]:
    """The document that `-o json` prints."""
    return {"apiVersion": "localize/v1", "kind": "ClaimList", "items": [claim.to_json() for claim in claims]}


def _services(claims: Sequence[Claim]) -> list[str]:
    return [service for claim in claims for service in claim.services]


def _table(claims: Sequence[Claim]) -> str:
    if not claims:
        return ""
    rows = [HEADER, *(_row(claim) for claim in claims)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _row(claim: Claim) -> tuple[str, ...]:
    cells = (
        claim.namespace,
        ",".join(service.partition("/")[2] for service in claim.services),
        ",".join(claim.workloads),
        claim.owner + (", here" if claim.here else ""),
        f"{claim.since:%Y-%m-%d %H:%M} UTC",
        f"{age_text(claim.silent_seconds)} ago",
        claim.failsafe or NONE,
        f"no: {claim.against}" if claim.against else "yes",
    )
    return tuple(one_line(cell, LONGEST_CELL) for cell in cells)
