"""kubectl's `-o jsonpath=…` and `-o custom-columns=…`, for the document of `ls -o json`; pure.

The language is kubectl's (https://kubernetes.io/docs/reference/kubectl/jsonpath/): fields, indices, slices, `*`,
`..`, filters such as `[?(@.name=="web")]`, `range` and `end`, and quoted text. Scripts and arithmetic are not in it.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kubectl_localize.errors import UsageError
from kubectl_localize.text import one_line

Json = Any
_STEP = re.compile(
    r"""
      (?P<deep>\.\.)? \.? (?P<field>(?:[^][.\s\\*]|\\.)+)
    | \.? (?P<star>\*) | \[ \s* (?P<all>\*) \s* ]
    | \[ \s* (?P<index>-?\d+) \s* ]
    | \[ \s* (?P<start>-?\d*) \s* : \s* (?P<stop>-?\d*) \s* ]
    | \[ \s* (?P<quote>['"]) (?P<key>.*?) (?P=quote) \s* ]
    | \[ \s* \? \s* \( (?P<filter>.*?) \) \s* ]
    """,
    re.VERBOSE,
)
_FILTER = re.compile(r"\s*(?P<left>@[^=!<>]*?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>.+?))?\s*")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_HINT = 'for example -o jsonpath=\'{range .items[*]}{.name}{"\\t"}{.address}{"\\n"}{end}\''


def jsonpath(template: str, document: Json) -> str:
    """What a template prints for a document.

    Raises:
        UsageError: it is no template, or uses what is not in the language.
    """
    if "{" not in template and template[:1] in (".", "$"):
        template = f"{{{template}}}"
    parts = _parts(template)
    text = "".join(_print(parts, document, document))
    if any(kind == "end" for kind, _ in parts):
        raise UsageError("the jsonpath has an {end} without {range}", _HINT)
    return text


def custom_columns(text: str, items: Sequence[Json], *, headers: bool = True) -> str:
    """The table that `custom-columns=NAME:.name,ADDRESS:.address` asks for.

    Args:
        text: what stands behind the equals sign.
        items: a row each.
        headers: whether the first line names the columns.

    Raises:
        UsageError: it names no columns.
    """
    columns = [column.partition(":") for column in re.split(r",(?![^\[]*\])", text)]
    if not all(name and path for name, _, path in columns):
        raise UsageError(f"custom-columns={text} has a column without a path", "write NAME:.name,ADDRESS:.address")
    paths = [path.strip("{}") for _, _, path in columns]
    cells = [[name for name, _, _ in columns]] if headers else []
    for item in items:
        row = [[_text(value) for value in _values(path, item, item)] for path in paths]
        cells.append([",".join(filter(None, texts)) or "<none>" for texts in row])
    widths = [max(map(len, column), default=0) for column in zip(*cells, strict=True)]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "".join(line + "\n" for line in lines)


# -- templates --------------------------------------------------------------------------------------------------------
def _parts(template: str) -> list[tuple[str, str]]:
    """A template's parts: pairs of `text`, `path`, `range` or `end`, and what belongs to it."""
    parts = []
    position = 0
    for match in re.finditer(r"\{((?:[^{}\"']|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')*)\}", template):
        parts.append(("text", template[position : match.start()]))
        position = match.end()
        inside = match[1].strip()
        if inside == "end":
            parts.append(("end", ""))
        elif inside.startswith("range "):
            parts.append(("range", inside.removeprefix("range ").strip()))
        elif inside[:1] in ("'", '"'):
            parts.append(("text", re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), inside[1:-1])))
        else:
            parts.append(("path", inside))
    rest = template[position:]
    if "{" in rest or "}" in rest:
        raise UsageError(f"the jsonpath {template} has a brace that is not closed", _HINT)
    return [*parts, ("text", rest)]


def _print(parts: list[tuple[str, str]], root: Json, current: Json) -> Iterator[str]:
    """What parts print, up to their end or that of the range that they are in; they are used up."""
    while parts and parts[0][0] != "end":
        kind, text = parts.pop(0)
        if kind == "text":
            yield text
        elif kind == "path":
            yield " ".join(map(_text, _values(text, root, current)))
        else:
            inner = list(parts)
            for value in _values(text, root, current):
                parts[:] = inner
                yield from _print(parts, root, value)
            if parts == inner:  # nothing to go through: skip it
                list(_print(parts, root, {}))
            if not parts:
                raise UsageError("the jsonpath has a {range} without {end}", _HINT)
            parts.pop(0)


def _text(value: Json) -> str:
    """A value as it is printed; what is no text as JSON. Others wrote it, so nothing of it may steer a terminal."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text if text.isprintable() else one_line(text)


# -- paths ------------------------------------------------------------------------------------------------------------
def _values(path: str, root: Json, current: Json) -> list[Json]:
    """What a path leads to; nothing for fields that are not there."""
    values = [root if path.startswith("$") else current]
    rest = path.lstrip("$@") if path[:1] in ("$", "@") else path
    if rest == ".":
        return values
    while rest:
        match = _STEP.match(rest)
        if match is None or not match.end():
            raise UsageError(f"the jsonpath {{{path}}} is not understood at {rest!r}", _HINT)
        values = [value for parent in values for value in _step(match, root, parent)]
        rest = rest[match.end() :]
    return values


def _step(match: re.Match[str], root: Json, value: Json) -> Iterator[Json]:
    if match["field"] or match["key"] is not None:
        key = match["key"] if match["key"] is not None else re.sub(r"\\(.)", r"\1", match["field"])
        for place in _below(value) if match["deep"] else (value,):
            if isinstance(place, dict) and key in place:
                yield place[key]
    elif match["star"] or match["all"]:
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    elif isinstance(value, list) and match["index"]:
        yield from value[int(match["index"]) :][:1] if int(match["index"]) < len(value) else ()
    elif isinstance(value, list) and match["filter"] is not None:
        yield from (entry for entry in value if _met(match["filter"], root, entry))
    elif isinstance(value, list) and match["start"] is not None:
        yield from value[int(match["start"] or 0) : int(match["stop"]) if match["stop"] else None]


def _below(value: Json) -> Iterator[Json]:
    yield value
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _below(entry)


def _met(condition: str, root: Json, entry: Json) -> bool:
    match = _FILTER.fullmatch(condition)
    if match is None:
        raise UsageError(f"the jsonpath filter {condition!r} is not understood", _HINT)
    values = _values(match["left"], root, entry)
    if match["operator"] is None:
        return bool(values)
    right = match["right"].strip("'")
    try:
        wanted = json.loads(right) if not match["right"].startswith("'") else right
    except ValueError:
        wanted = right
    try:
        return any(_COMPARE[match["operator"]](value, wanted) for value in values)
    except TypeError:  # a text and a number
        return False
