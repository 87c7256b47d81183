"""What can be seen of a text: strangers send more than that, and names of ours hold no more."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no text of strangers is kept with: what cannot be stored or seen, or turns it around."""

SPACES = re.compile(r"\s+")
LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
TURNING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""What turns text around: programs that write from right to left put it around names."""

BREAK = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029][\t\n\r\x0b\x0c\x85\u2028\u2029 ]*")
"""A tab or end of line within a name, or several, with the spaces after them."""

NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def in_one_line(text: str) -> str:
    """Return a text without what ends a line or is not seen."""
    return CONTROL.sub("", SPACES.sub(" ", text)).strip()


def name_of(text: str) -> str:
    """Return a name as people copy one: in one line, and nothing turns it around.

    Its other spaces are as they were written.
    """
    return " ".join(part.rstrip(" ") for part in BREAK.split(TURNING.sub("", text)))


def in_lines(text: str) -> str:
    """Return a text without what is not seen, its lines as they are."""
    return CONTROL.sub("", LINE_END.sub("\n", text))
