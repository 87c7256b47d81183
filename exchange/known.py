"""Known rows: which there are of a kind, by external id and by name, in database and files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from exchange.kinds import ITEMS, MADE_ON_DEMAND, Kind, table_of
from exchange.values import Bad, nearest
from models.base import LARGEST_ID
from models.installation import installation
from models.item_type import ItemType
from models.pipeline import Pipeline, Stage

TO_COME = 0
"""The id of what a file brings and nobody has written yet."""

ID_DIGITS = len(str(LARGEST_ID))
IN_THE_BIN = "it is in the recycle bin"


def prefix_of(database_id: UUID) -> str:
    """Return how the made-up external ids of a database begin."""
    return f"cuebook-{database_id.hex[:8]}-"


@dataclass
class Known:
    """The rows of one kind. Where an external id or name stands for none, a text says why.

    `unnamed` are those without an external id, by name and by e-mail address: a line of that
    name is about them, and they are `adopted`. `missing` are names that nobody defines and that
    are to be made; `called` says the external id of a name in the files.
    """

    kind: Kind
    prefix: str
    keys: dict[str, int | str] = field(default_factory=dict)
    names: dict[str, int | str] = field(default_factory=dict)
    unnamed: dict[str, list[int]] = field(default_factory=dict)
    adopted: dict[int, str] = field(default_factory=dict)
    missing: dict[str, None] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)

    def find(self, said: str) -> int:
        """Return the id of what an external id or a name says, or raise `Bad`."""
        places = [self.keys.get(said), self.names.get(said)]
        for found in places:
            if isinstance(found, int):
                return found
        for why in places:
            if why is not None:
                raise Bad(f"{self.kind.noun} {said} cannot be named: {why}")
        meant = nearest(said, [*self.names, *self.keys])
        raise Unknown(f"unknown {self.kind.noun} {said}{meant}")

    def add(self, key: str, name: str, row_id: int = TO_COME) -> None:
        """Let there be a row; a second one of the same name makes the name say nothing."""
        self.keys[key] = row_id
        if name:
            self._name(name, row_id)
            self.called.setdefault(name, key)

    def spoil(self, key: str, name: str, why: str) -> None:
        """Let nobody name a row that will not come."""
        self.keys[key] = why
        if self.names.get(name) == TO_COME:
            self.names[name] = why

    def adoptable(self, name: str, address: str) -> int | None:
        """Return the one row without external id that has this e-mail address, or this name."""
        for said in (address, name):
            found = [each for each in self.unnamed.get(said, []) if each not in self.adopted]
            if len(found) == 1:
                return found[0]
        return None

    def adopt(self, row_id: int, key: str) -> None:
        """Let a row that had no external id have this one."""
        self.keys[key] = row_id
        self.adopted[row_id] = key

    def written(self, key: str, name: str, row_id: int) -> None:
        """Let what was to come be there."""
        self.keys[key] = row_id
        if self.names.get(name) == TO_COME:
            self.names[name] = row_id

    def is_to_come(self, key: str) -> bool:
        return self.keys.get(key) == TO_COME

    def read(self, row_id: int, external_id: str | None, name: str, *, deleted: bool) -> None:
        """Take in a row of the database."""
        self.keys[external_id or f"{self.prefix}{row_id}"] = IN_THE_BIN if deleted else row_id
        if name and not deleted:
            self._name(name, row_id)

    def _name(self, name: str, row_id: int) -> None:
        taken = name in self.names
        self.names[name] = f"several {self.kind.value} are called so" if taken else row_id


class Unknown(Bad):
    """A name that nobody defines."""


@dataclass
class Stages:
    """Every pipeline with its stages, by item type and name; a text says why it is unclear."""

    pipelines: dict[tuple[ItemType, str], dict[str, int | str] | str]

    def add_stage(self, item_type: ItemType, pipeline: str, stage: str, row_id: int) -> None:
        stages = self.pipelines.setdefault((item_type, pipeline), {})
        if stage and not isinstance(stages, str):
            stages[stage] = "several stages are called so" if stage in stages else row_id

    def stages_of(self, item_type: ItemType, pipeline: str) -> dict[str, int | str]:
        """Return the stages of a pipeline by name, in order, or raise `Bad`."""
        found = self.pipelines.get((item_type, pipeline))
        if isinstance(found, dict):
            return found
        if found is None:
            known = [name for kind, name in self.pipelines if kind is item_type]
            raise Bad(f"unknown pipeline {pipeline} of {item_type}s{nearest(pipeline, known)}")
        raise Bad(f"pipeline {pipeline} cannot be named: {found}")

    def find(self, item_type: ItemType, pipeline: str, stage: str) -> int:
        """Return the id of a stage, without a name of the first, or raise `Bad`."""
        stages = self.stages_of(item_type, pipeline)
        found = stages.get(stage) if stage else next(iter(stages.values()), None)
        if isinstance(found, int):
            return found
        if found is None:
            hint = nearest(stage, stages) or f"; there are {', '.join(stages)}"
            raise Bad(f"pipeline {pipeline} has no stage {stage or 'at all'}{hint}")
        raise Bad(f"stage {stage} cannot be named: {found}")


async def known_rows(session: AsyncSession, kind: Kind) -> Known:
    """Return all rows of a kind; of items, which may be many, `look_up` finds those needed."""
    home = await installation(session)
    known = Known(kind, prefix_of(home.database_id))
    if kind in ITEMS:
        return known
    columns = table_of(kind).c
    name = (
        func.trim(
            func.coalesce(columns.first_name, "") + " " + func.coalesce(columns.last_name, "")
        )
        if kind is Kind.CONTACTS
        else columns.name
    )
    nothing = columns.id.is_(None)
    deleted = columns.deleted_at.is_not(None) if "deleted_at" in columns else nothing
    address = columns.email if kind is Kind.USERS else columns.external_id
    found = await session.stream(
        select(columns.id, columns.external_id, name, deleted, address).order_by(columns.id)
    )
    async for row_id, external_id, called, gone, mail in found:
        known.read(row_id, external_id, called, deleted=gone)
        if external_id is None and not gone and kind in {*MADE_ON_DEMAND, Kind.DEPARTMENTS}:
            for said in {called, mail} - {None}:
                known.unnamed.setdefault(said, []).append(row_id)
    return known


async def look_up(session: AsyncSession, known: Known, keys: Sequence[str]) -> None:
    """Take in the items of these external ids that the database has, also deleted ones."""
    columns = table_of(known.kind).c
    tails = [key.removeprefix(known.prefix) for key in keys if key.startswith(known.prefix)]
    own = [
        int(tail) for tail in tails if tail.isascii() and tail.isdigit() and len(tail) < ID_DIGITS
    ]
    wanted: ColumnElement[bool] = columns.external_id.in_(keys)
    if own:
        wanted = or_(wanted, columns.id.in_(own) & columns.external_id.is_(None))
    found = await session.execute(
        select(columns.id, columns.external_id, columns.deleted_at).where(
            wanted, columns.type == ITEMS[known.kind]
        )
    )
    for row_id, external_id, deleted_at in found:
        known.read(row_id, external_id, "", deleted=deleted_at is not None)


async def known_stages(session: AsyncSession) -> Stages:
    """Return the pipelines that are there."""
    stages = Stages({})
    pipelines = await session.execute(
        select(Pipeline.id, Pipeline.item_type, Pipeline.name)
        .where(Pipeline.deleted_at.is_(None))
        .order_by(Pipeline.id)
    )
    seen: dict[int, tuple[ItemType, str]] = {}
    for row_id, item_type, name in pipelines:
        key = (item_type, name)
        seen[row_id] = key
        stages.pipelines[key] = "several are called so" if key in stages.pipelines else {}
    rows = await session.execute(
        select(Stage.id, Stage.pipeline_id, Stage.name)
        .where(Stage.pipeline_id.in_(seen), Stage.deleted_at.is_(None))
        .order_by(Stage.pipeline_id, Stage.position, Stage.id)
    )
    for row_id, pipeline_id, name in rows:
        item_type, pipeline = seen[pipeline_id]
        stages.add_stage(item_type, pipeline, name, row_id)
    return stages
