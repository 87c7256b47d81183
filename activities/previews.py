"""Previews: what a text or conditions would come to for an item as it stands; nothing changes."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from activities.facts import facts_for_rule
from models.base import find_named
from models.conditions import Condition, Verdict
from models.conditions import check as check_conditions
from models.errors import ActionFailed, Invalid, Problem
from models.facts import Asked, Facts
from models.installation import installation
from models.item import Item
from models.rule_run import RuleRun
from models.stage_entry import StageEntry
from models.templates import check as check_template
from models.templates import render
from models.user import User


@dataclass(frozen=True)
class Draft:
    """A text with fields that somebody is writing.

    Locale and zone are, where not given, those of the reader, else of the company.
    """

    text: str
    reader_id: int | None = None
    locale: str | None = None
    zone: str | None = None
    stage_entry_id: int | None = None


async def preview_text(session: AsyncSession, item: Item, draft: Draft, *, url: str) -> str:
    """Return the text as the reader would get it now, or raise `Invalid` with all its problems.

    Results are those of the rules that have run during the stay.
    """
    facts = await _facts(session, item, draft.stage_entry_id, Asked(draft.text), url=url)
    _refuse(Problem("/text", reason) for reason in check_template(draft.text, facts.catalogue))
    reader = await _reader(session, draft.reader_id)
    home = await installation(session)
    try:
        return render(
            draft.text,
            facts.values,
            locale=draft.locale or (reader and reader.locale) or home.locale,
            zone=draft.zone or (reader and reader.time_zone) or home.time_zone,
        )
    except ActionFailed as failed:
        raise Invalid(Problem("/text", failed.message)) from failed


async def preview_conditions(
    session: AsyncSession,
    item: Item,
    conditions: Condition,
    *,
    stage_entry_id: int | None = None,
    url: str,
) -> Verdict:
    """Return what the conditions would come to now, or raise `Invalid` with all their problems."""
    asked = Asked(conditions.model_dump_json(), conditions)
    facts = await _facts(session, item, stage_entry_id, asked, url=url)
    _refuse(
        Problem(f"/conditions{problem.field}", problem.reason)
        for problem in check_conditions(conditions, facts.catalogue)
    )
    return facts.judge(conditions)


async def _facts(
    session: AsyncSession, item: Item, entry_id: int | None, asked: Asked, *, url: str
) -> Facts:
    entry = await _entry(session, item, entry_id)
    home = await installation(session)
    return await facts_for_rule(session, entry, home, asked, url=url, runs=entry.runs)


async def _entry(session: AsyncSession, item: Item, entry_id: int | None) -> StageEntry:
    """Return that stay of the item, by default the present one, with its runs."""
    which = StageEntry.left_at.is_(None) if entry_id is None else StageEntry.id == entry_id
    entry = await session.scalar(
        select(StageEntry)
        .where(StageEntry.item_id == item.id, which)
        .options(
            joinedload(StageEntry.item, innerjoin=True),
            selectinload(StageEntry.runs).joinedload(RuleRun.version, innerjoin=True),
        )
    )
    if entry is None:
        reason = f"{item.called.capitalize()} has no stage entry {entry_id}."
        raise Invalid(Problem("/stage_entry_id", reason))
    return entry


async def _reader(session: AsyncSession, user_id: int | None) -> User | None:
    if user_id is None:
        return None
    return await find_named(session, User, user_id, "/reader_id", lock=False)


def _refuse(problems: Iterable[Problem]) -> None:
    if found := list(problems):
        raise Invalid(*found)
