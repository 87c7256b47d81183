"""In which language an answer speaks: what `Accept-Language` asks for, else that of its reader."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Request, Response

from api.dependencies import CurrentUser, Session
from models.installation import installation
from models.languages import LANGUAGES, SOURCE, language_of

RANGE = re.compile(
    r"\s*(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.IGNORECASE | re.ASCII,
)
"""A language range and its quality value, after RFC 9110."""

ANY_LANGUAGE = "*"

UNASKED = -1
"""Where a language stands that nobody spoke of: before those that are refused."""


async def language(
    request: Request,
    session: Session,
    user: CurrentUser,
    wanted: Annotated[
        str | None,
        Header(
            alias="Accept-Language",
            description="In which languages you would read titles and descriptions, of "
            + ", ".join(f"`{each}`" for each in LANGUAGES)
            + ". Without it, or where it has none of them: your own, else the company's.",
            examples=["pl", "fr-CH, fr;q=0.9, de;q=0.5, *;q=0.1"],
        ),
    ] = None,
) -> str:
    """Return the language of the answer, which will say so."""
    home = await installation(session)
    own = [each for each in map(language_of, (user.locale, home.locale)) if each]
    request.state.language = chosen = best(wanted or ANY_LANGUAGE, own)
    return chosen


Language = Annotated[str, Depends(language)]
"""Asked for by whatever shows words of the product."""


def best(wanted: str, own: Sequence[str] = ()) -> str:
    """Return the language that suits a header `Accept-Language` most.

    Of several that suit alike it is the one named first, then one of the reader's own. Where none
    is acceptable it is one of those too, as if nothing had been asked for.
    """
    ranges = list(_ranges(wanted))
    known = list(dict.fromkeys([*own, SOURCE, *LANGUAGES]))
    suits = {each: _suits(each, ranges) for each in known}
    # The sort is stable: what suits alike stays in the order of the reader.
    return min(known, key=lambda each: (-suits[each].quality, suits[each].place))


class _Range(NamedTuple):
    tag: str
    quality: float
    place: int


def _ranges(wanted: str) -> Iterator[_Range]:
    """Yield what can be read of a header; the rest is as if it had not been sent."""
    for place, part in enumerate(wanted.split(",")):
        if found := RANGE.fullmatch(part):
            tag, quality = found.groups()
            yield _Range(tag.lower(), float(quality or 1), place)


def _suits(each: str, ranges: Sequence[_Range]) -> _Range:
    """Return the range that decides about a language: the most exact, and of those the best."""
    same = [asked for asked in ranges if asked.tag == each]
    # Who reads Polish of Poland reads Polish; who does not want that of Poland may want another.
    near = [asked for asked in ranges if asked.tag.startswith(f"{each}-") and asked.quality]
    any_ = [asked for asked in ranges if asked.tag == ANY_LANGUAGE]
    return min(
        same or near or any_ or [_Range(each, 0, UNASKED)],
        key=lambda asked: (-asked.quality, asked.place),
    )


def in_its_language(request: Request, answer: Response) -> Response:
    """Let an answer say in which language it speaks, and that others may get another."""
    if chosen := getattr(request.state, "language", None):
        answer.headers["Content-Language"] = chosen
        answer.headers.add_vary_header("Accept-Language")
    return answer
