"""What parent and child say to each other: a line of JSON, then bytes of the lengths it names."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

LENGTHS = "lengths"


class AsItIs(str):
    """A text that stands there whatever a filter would make of the field."""

    __slots__ = ()


class Garbled(ValueError):
    """What came is no message."""


def packed(message: dict[str, Any], *blobs: bytes) -> bytes:
    """Return the message and the bytes that go with it, as they are sent."""
    line = json.dumps({**message, LENGTHS: [len(blob) for blob in blobs]})
    return b"".join((line.encode(), b"\n", *blobs))


def unpacked(sent: bytes) -> tuple[dict[str, Any], Sequence[bytes]]:
    """Return the message and its bytes; anything else than one whole message is Garbled."""
    line, _, rest = sent.partition(b"\n")
    try:
        message = json.loads(line)
        lengths = message.pop(LENGTHS)
        whole = isinstance(message, dict) and sum(lengths) == len(rest)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Garbled("no message") from error
    if not whole:
        raise Garbled("not all of a message")
    blobs = []
    for length in lengths:
        blobs.append(rest[:length])
        rest = rest[length:]
    return message, blobs


def plain(value: object) -> object:  # noqa: PLR0911 - one for each kind
    """Return a value of a field as JSON holds it."""
    match value:
        case None | bool() | int() | float():
            return value
        case AsItIs():
            return {"as it is": str(value)}
        case Decimal():
            return {"decimal": str(value)}
        case datetime():
            return {"datetime": value.isoformat()}
        case date():
            return {"date": value.isoformat()}
        case dict():
            return {"row": {str(name): plain(part) for name, part in value.items()}}
        case list() | tuple():
            return [plain(part) for part in value]
    return str(value)


def meant(value: Any) -> object:  # noqa: PLR0911 - one for each kind
    """Return the value of a field that `plain` made JSON of."""
    match value:
        case {"as it is": str(text)}:
            return AsItIs(text)
        case {"decimal": str(text)}:
            return Decimal(text)
        case {"datetime": str(text)}:
            return datetime.fromisoformat(text)
        case {"date": str(text)}:
            return date.fromisoformat(text)
        case {"row": dict(row)}:
            return {name: meant(part) for name, part in row.items()}
        case list():
            return [meant(part) for part in value]
    return value
