"""Signatures: links that strangers may follow, of which they can make none themselves."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

LENGTH = 22
"""Characters of a signature: 132 bits."""


def signature(key: str, *parts: object) -> str:
    """Return what stands in a link for these parts, in this order; safe within a path."""
    said = "\x00".join(str(part) for part in parts)
    digest = hmac.digest(key.encode(), said.encode(), sha256)
    return urlsafe_b64encode(digest).decode()[:LENGTH]


def is_signed(key: str, given: str, *parts: object) -> bool:
    """Tell whether a signature is that of these parts; takes as long whatever is wrong."""
    return hmac.compare_digest(given.encode(), signature(key, *parts).encode())
