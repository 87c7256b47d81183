"""Previews: what a text or conditions would come to for an item, while a rule is being written."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from activities.previews import Draft, preview_conditions, preview_text
from api.dependencies import Session
from api.items import PresentItem
from api.schemas import Id, LongText, Read, Write
from models.conditions import Compared, Conditions, Outcome, Verdict
from models.installation import LocaleName
from models.settings import Settings
from models.timing import TimeZoneName

# They change nothing, so that they can be repeated without a key.
router = APIRouter(prefix="/items/{item_id}/preview", tags=["previews"])

ENTRY = (
    "One of its stays in a stage, by default the present one: whose results count, and since when "
    "fields have changed."
)


class TextPreview(Write):
    """A text with fields, as a rule would have it."""

    text: LongText = Field(examples=["Call {{ contact.name }} about {{ deal.title }}"])
    reader_id: Id | None = Field(
        default=None, description="Whose locale and time zone; the company's, if left out."
    )
    locale: LocaleName | None = Field(default=None, description="Instead of the reader's.")
    zone: TimeZoneName | None = Field(default=None, description="Instead of the reader's.")
    stage_entry_id: Id | None = Field(default=None, description=ENTRY)


class RenderedText(Read):
    text: str


class ConditionsPreview(Write):
    """Conditions, as a rule would have them."""

    conditions: Conditions
    stage_entry_id: Id | None = Field(default=None, description=ENTRY)


class VerdictPreview(Read):
    """A rule would run where the outcome is `met`; `comparisons` are all, in the order written."""

    outcome: Outcome
    in_words: str = Field(description="What decided.", examples=["deal.amount is 5, needed > 9"])
    comparisons: list[Compared]

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        return cls(
            outcome=verdict.outcome,
            in_words=verdict.in_words(),
            comparisons=list(verdict.comparisons),
        )


async def _url(request: Request) -> str:
    settings: Settings = request.app.state.settings
    return settings.url


PublicUrl = Annotated[str, Depends(_url)]
"""With what the links in texts begin."""


@router.post("/text")
async def render_text(
    session: Session, item: PresentItem, url: PublicUrl, sent: TextPreview
) -> RenderedText:
    """Return the text with the fields of the item filled in, as its reader would get it now.

    Of a text that no rule could have, all problems are told, with line and column.
    """
    draft = Draft(**sent.model_dump())
    return RenderedText(text=await preview_text(session, item, draft, url=url))


@router.post("/conditions")
async def judge_conditions(
    session: Session, item: PresentItem, url: PublicUrl, sent: ConditionsPreview
) -> VerdictPreview:
    """Tell whether the item meets the conditions now, and what was compared with what."""
    verdict = await preview_conditions(
        session, item, sent.conditions, stage_entry_id=sent.stage_entry_id, url=url
    )
    return VerdictPreview.of(verdict)
