"""The facts that a rule speaks of: those of its item, and what the rules above have left."""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from activities.results import RuleCatalogue, mentions_results, values_of
from models.facts import Asked, Facts, facts_of
from models.installation import Installation
from models.rule_run import RuleRun
from models.stage_entry import StageEntry


async def facts_for_rule(
    session: AsyncSession,
    entry: StageEntry,
    home: Installation,
    asked: Asked,
    *,
    url: str,
    runs: Iterable[RuleRun],
) -> Facts:
    """Return what is asked of the item of an entry, which is loaded.

    `runs` are those whose results count; they are not looked at unless they are asked for.
    """
    facts = await facts_of(session, entry, home, asked, url=url)
    if not mentions_results(asked.text):
        return facts
    results = dict(values_of(runs, entry.item.type))
    return replace(
        facts, catalogue=RuleCatalogue.after(facts.catalogue), values=facts.values | results
    )
