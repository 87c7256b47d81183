"""The shape of items: pipelines, stages and custom fields, there already or to be made."""

import re
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from exchange.kinds import ITEMS, Kind
from exchange.known import TO_COME, Stages, known_stages
from exchange.layout import Layout, StageOf, Table
from exchange.lines import CannotLoad
from exchange.report import BadLines, Count
from exchange.rows import Reader, Row
from exchange.values import Bad
from models.custom_values import KINDS
from models.field_definition import LONGEST_NAME, NAME, custom_fields_of
from models.fields import Field
from models.item_type import ItemType
from models.pipeline import StageKind

Key = tuple[ItemType, str]


@dataclass
class Shape:
    """`pipelines` and `definitions` are to be made; `usual` is where items go by default."""

    stages: Stages
    custom: dict[ItemType, dict[str, Field]]
    pipelines: dict[Key, list[StageOf]] = field(default_factory=dict)
    definitions: dict[Key, Row] = field(default_factory=dict)
    usual: dict[ItemType, str] = field(default_factory=dict)
    present: set[tuple[Kind, Key]] = field(default_factory=set)

    def define(self, reader: Reader, place: int, bad: BadLines) -> None:
        """Take in the rows of a table of pipelines or of custom fields."""
        kind = reader.table.kind
        take = self._pipeline if kind is Kind.PIPELINES else self._definition
        for row in reader.rows():
            key = (row.values.get("item_type", ItemType.DEAL), row.key)
            if not row.problems and self._is_there(kind, key):
                self.present.add((kind, key))
            elif not row.problems:
                row.problems += [reader.bad(row.number, *each) for each in take(key, row)]
            if row.problems:
                bad.add(place, row.number, row.problems)

    def choose(self, table: Table, layout: Layout, wished: str | None) -> None:
        """Find the pipeline of items whose lines do not say theirs; `wished` is that of deals."""
        item_type = ITEMS[table.kind]
        said = wished if item_type is ItemType.DEAL else None
        if "pipeline" in table.fields:
            if said is not None:
                raise CannotLoad(f"{table.file} says the pipeline of every line itself.")
            return
        offered = layout.pipeline_of(item_type)
        name = said or (offered.name if offered else "")
        if not name:
            raise CannotLoad(f"The layout names no pipeline for {table.kind}: say --pipeline.")
        self.usual[item_type] = name
        if (item_type, name) not in self.stages.pipelines and offered is not None:
            self.pipelines[item_type, name] = offered.stages
            for stage in offered.stages:
                self.stages.add_stage(item_type, name, stage.name, TO_COME)
        try:
            self.stages.stages_of(item_type, name)
        except Bad as error:
            raise CannotLoad(f"{table.file}: {error}.") from error

    def stage_id(self, kind: Kind, row: Row) -> int:
        """Return the stage that an item enters, or raise `Bad`."""
        item_type = ITEMS[kind]
        pipeline = row.values.get("pipeline") or self.usual.get(item_type)
        if not pipeline:
            raise Bad("it says no pipeline")
        return self.stages.find(item_type, pipeline, row.values.get("stage", ""))

    def count(self, counts: dict[Kind, Count]) -> None:
        """Say how many there are and how many are to be made."""
        for kind, made in (
            (Kind.PIPELINES, len(self.pipelines)),
            (Kind.FIELD_DEFINITIONS, len(self.definitions)),
        ):
            there = sum(each is kind for each, _ in self.present)
            if made or there:
                count = counts.setdefault(kind, Count())
                count.created, count.present = made, there

    def _is_there(self, kind: Kind, key: Key) -> bool:
        if kind is Kind.PIPELINES:
            return key in self.stages.pipelines and key not in self.pipelines
        return key[1] in self.custom[key[0]] and key not in self.definitions

    def _pipeline(self, key: Key, row: Row) -> list[tuple[str, str]]:
        stages = self.pipelines.setdefault(key, [])
        self.stages.pipelines.setdefault(key, {})
        name = row.values.get("stage", "")
        if any(each.name == name for each in stages):
            return [("stage", f"pipeline {key[1]} has a stage {name} already")]
        if name:
            stages.append(StageOf(name=name, kind=row.values.get("stage_kind", StageKind.OPEN)))
            self.stages.add_stage(*key, name, TO_COME)
        return []

    def _definition(self, key: Key, row: Row) -> list[tuple[str, str]]:
        said = row.values
        if key in self.definitions:
            return [("name", f"custom field {key[1]} of {key[0]}s is there already")]
        if not re.fullmatch(NAME, key[1]) or len(key[1]) > LONGEST_NAME:
            return [("name", f"«{key[1]}» is no name: letters, digits and _, such as contract_no")]
        if said["kind"] not in KINDS:
            return [("kind", f"a custom field cannot be {said['kind']}")]
        self.definitions[key] = row
        self.custom[key[0]][key[1]] = Field(
            key[1], said.get("title", key[1]), said["kind"], choices=tuple(said.get("choices", ()))
        )
        return []


async def shape_of(session: AsyncSession) -> Shape:
    """Return what is there."""
    custom = {each: dict(await custom_fields_of(session, each)) for each in ItemType}
    return Shape(await known_stages(session), custom)
