"""The schema of the `ls -o json` document, as docs/state.schema.json publishes it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "state.schema.json"


@cache
def schema() -> dict[str, Any]:
    """The schema itself."""
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return loaded


def check_document(document: Any) -> None:
    """Check a document against the schema.

    Raises:
        jsonschema.ValidationError: it is not what the schema says.
    """
    jsonschema.Draft202012Validator(schema()).validate(document)
