"""What a document is: its fields, and how much of everything it may take."""

import re

from models.fields import Field, FieldKind

DOCUMENT_FIELDS = (
    Field("document.number", "Document: Number", FieldKind.TEXT),
    Field("document.date", "Document: Date", FieldKind.DATE),
)
"""What a document knows of itself, beside the fields of the catalogue."""

MEGABYTE = 1024 * 1024

LARGEST_TEMPLATE = 10 * MEGABYTE
LARGEST_RESULT = 25 * MEGABYTE
LARGEST_UNPACKED = 100 * MEGABYTE
LARGEST_XML = 20 * MEGABYTE
LARGEST_PICTURE = 40_000_000  # pixels
MOST_PARTS = 1000
MOST_PAGES = 500
MOST_REASONS = 20
MOST_DEEP = 100  # tables in tables, groups in groups

UNPRINTABLE = re.compile(r"[\0-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]")

LONGEST_EXCERPT = 60  # characters
LONGEST_REASON = 300

MEMORY = 768 * MEGABYTE
WORK = 10  # seconds of a processor
PATIENCE = 20  # seconds by the clock
AT_ONCE = 2
"""More would only take memory and processors from each other."""

LARGEST_REPLY = 2 * LARGEST_RESULT + MEGABYTE

OFFICE_MEMORY = 4096 * MEGABYTE
"""LibreOffice maps far more than it uses."""


class Broken(Exception):
    """The document cannot be made, for this reason."""
