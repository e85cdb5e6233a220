"""Any JSON, and JSON that is almost right: a sound document of which some part has been replaced."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, "", "\0", "\udcff", 0, -1, 10**400, 1e308, [], [[]], {}, {"": None}, [None], "\x1b[2J"]
)
VALUES = st.recursive(
    ODD | st.text(max_size=8) | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, sound: Any) -> Any:
    """A JSON value of which one part, anywhere in it, is something else or is missing."""
    if isinstance(sound, dict) and sound and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(sound)))
        rest = {name: value for name, value in sound.items() if name != key}
        return rest if not draw(st.integers(0, 5)) else {**rest, key: draw(damaged(sound[key]))}
    if isinstance(sound, list) and sound and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(sound) - 1))
        return [*sound[:at], draw(damaged(sound[at])), *sound[at + 1 :]]
    return draw(VALUES)
