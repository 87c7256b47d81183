"""Near misses: what was probably meant by a name that nobody knows."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_NAME = 100
"""Characters of a name that are repeated, and compared."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that asks whether the most alike was meant, if any is alike."""
    near = get_close_matches(name[:LONGEST_NAME], list(known), n=1)
    return f", did you mean {near[0]}?" if near else ""
