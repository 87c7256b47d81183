"""What can be told of a PDF at a glance."""

import re

COUNT = re.compile(rb"/Count\s+(\d{1,9})\b")


def pages_of(pdf: bytes) -> int:
    """Return how many pages it has: its tree of pages says so at the root."""
    return max((int(count) for count in COUNT.findall(pdf)), default=0)
