"""The facts that conditions and texts speak of, at the moment they are asked for."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.changes import changed_since
from models.conditions import Circumstances, Condition, Verdict, asks_for_changes, evaluate
from models.field_definition import catalogue_of
from models.field_values import field_values
from models.fields import Catalogue
from models.installation import Installation
from models.stage_entry import StageEntry


@dataclass(frozen=True)
class Facts:
    """Fields with their values, and the circumstances; what nobody asked for is left out."""

    catalogue: Catalogue
    values: dict[str, object]
    here: Circumstances

    def judge(self, conditions: Condition) -> Verdict:
        return evaluate(conditions, self.values, self.catalogue, self.here)


@dataclass(frozen=True)
class Asked:
    """What is to be known: a text that mentions all fields that matter, and conditions."""

    text: str
    conditions: Condition | None = None


async def facts_of(
    session: AsyncSession, entry: StageEntry, home: Installation, asked: Asked, *, url: str
) -> Facts:
    """Return what is asked of the item of an entry, which is loaded.

    Changes since its beginning are looked for only if they are asked for.
    """
    item = entry.item
    catalogue = await catalogue_of(session, item.type, wanted=asked.text)
    values = dict(
        await field_values(
            session, item, catalogue, url=url, currency=home.currency, wanted=asked.text
        )
    )
    changed = asked.conditions is not None and asks_for_changes(asked.conditions)
    here = Circumstances(
        clock.now(), home.time_zone, await changed_since(session, entry) if changed else frozenset()
    )
    return Facts(catalogue, values, here)
