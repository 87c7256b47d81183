"""Markdown that people write: filled in without letting values be markup, made into safe HTML."""

import re
from html import escape

import nh3
from markdown_it import MarkdownIt

PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
"""What Markdown takes for text where a backslash stands before it: all punctuation of ASCII."""

LINE_END = re.compile(r"\r\n?|\n")

ADDRESS = re.compile(r"https?://[^\s<>\"']+")

SCHEMES = {"http", "https", "mailto", "tel"}

_reader = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(
    ["table", "strikethrough"]
)


def as_mere_text(value: str) -> str:
    """Return Markdown that reads as this value, whatever stands in it, within a paragraph."""
    marked = PUNCTUATION.sub(r"\\\g<0>", value.strip())
    return LINE_END.sub("\\\\\n", marked)


def html_of(markdown: str) -> str:
    """Return Markdown as HTML that is safe to show: no scripts, frames, forms or styles."""
    return nh3.clean(_reader.render(markdown), url_schemes=SCHEMES)


def html_of_plain(text: str) -> str:
    """Return a text without markup as HTML; addresses of pages in it become links."""
    marked = ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', escape(text, quote=False))
    return nh3.clean(f"<p>{LINE_END.sub('<br>', marked)}</p>", url_schemes=SCHEMES)
