"""Writing what was checked: everything in one transaction, in batches that are forgotten again."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from exchange.check import BATCH, CLIENTS, Check, batches
from exchange.kinds import CUSTOM, ITEMS, NAMED, Kind, table_of
from exchange.lines import CannotLoad
from exchange.report import Watch
from exchange.rows import Reader, Row, custom_of, seller_of
from models.base import AGAINST_DELETION, assign
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint, points
from models.entering import create_items
from models.field_definition import FieldDefinition, add_definition
from models.installation import THE_ONE, Installation
from models.item import KINDS, Item, Lead, item_contacts
from models.item_type import ItemType
from models.outbox import untold
from models.pipeline import Stage, add_pipeline
from models.product import Product
from models.product_row import ProductRow
from models.stage_entry import Cause
from models.user import Role, User

LATER = {
    (Kind.DEPARTMENTS, "parent"): "parent_id",
    (Kind.DEPARTMENTS, "head"): "head_id",
    (Kind.COMPANIES, "parent"): "parent_id",
    **{(kind, f"source_{each}"): "source_item_id" for kind in ITEMS for each in ItemType},
}
"""Columns that name rows which may come later than the row itself."""

BESIDE = frozenset({"external_id", "pipeline", "stage", "phones", "emails"})
"""Fields that are no columns of their row."""

FACTS = ("converted_at", "paid_at")
"""What only what happens assigns, but for what has happened elsewhere."""

CHANGED = "Something changed in the database meanwhile. Nothing was loaded; load again."


class Writer:
    """Writes the new rows of checked files, within the transaction of the session."""

    def __init__(self, session: AsyncSession, check: Check, watch: Watch) -> None:
        self._session = session
        self._check = check
        self._watch = watch
        self._unresolved: dict[tuple[Kind, str], list[tuple[int, Kind, str]]] = {}
        self._by = 0

    async def write(self) -> None:
        # One loads at a time.
        await self._session.get_one(Installation, THE_ONE, with_for_update=True)
        await self._lock_clients()
        await self._make_shape()
        for kind in NAMED:
            if kind in ITEMS and not self._by and self._has(kind):
                self._by = await self._author()
            await self._write(kind)
            await self._make_missing(kind)
            await self._adopt(kind)
        await self._write(Kind.PRODUCT_ROWS)
        await self._fill_in()

    def _has(self, kind: Kind) -> bool:
        return kind in self._check.counts and self._check.counts[kind].created > 0

    async def _lock_clients(self) -> None:
        """Let nobody delete the clients that new rows name; contacts first, in order, as always."""
        for kind in CLIENTS:
            table = Contact if kind is Kind.CONTACTS else Company
            for ids in batches(iter(sorted(self._check.linked[kind])), BATCH):
                locked = await self._session.scalars(
                    select(table.id)
                    .where(table.id.in_(ids), table.deleted_at.is_(None))
                    .order_by(table.id)
                    .with_for_update(read=True, key_share=True)
                )
                if len(locked.all()) != len(ids):
                    raise CannotLoad(CHANGED)

    async def _make_shape(self) -> None:
        shape = self._check.shape
        for (item_type, _), row in shape.definitions.items():
            fields: dict[str, Any] = {"title": row.key, "choices": [], **row.values}
            place = fields.pop("position", None)
            defined = FieldDefinition(**{**fields, "item_type": item_type})
            await add_definition(self._session, defined, position=place)
        for (item_type, name), stages in shape.pipelines.items():
            told = [each.model_dump() for each in stages]
            made = await add_pipeline(self._session, name=name, item_type=item_type, stages=told)
            shape.stages.pipelines[item_type, name] = {each.name: each.id for each in made.stages}

    async def _author(self) -> int:
        """Return by whom items are created: who was named, or the first administrator."""
        wanted = select(User.id).where(User.active).order_by(User.id).limit(1)
        by = self._check.wishes.by
        if by is not None:
            found = await self._session.scalar(wanted.where(User.email == by))
            if found is None:
                raise CannotLoad(f"There is no active user with the e-mail address {by}.")
            return found
        found = await self._session.scalar(wanted.where(User.role == Role.ADMIN))
        if found is None:
            raise CannotLoad(
                "Nobody is there who could create the items: neither the database nor the files "
                "have an active administrator. Make one with `cuebook token --new-admin`."
            )
        return found

    async def _write(self, kind: Kind) -> None:
        for place, reader in self._check.readers.items():
            if reader.table.kind is not kind:
                continue
            done = 0
            for batch in batches(self._check.new_rows(place), BATCH):
                if kind in ITEMS:
                    await self._items(kind, reader, batch)
                elif kind is Kind.PRODUCT_ROWS:
                    await self._product_rows(batch)
                else:
                    await self._rows(kind, reader, batch)
                await self._forget()
                done += len(batch)
                self._watch(f"Writing {kind.value}", done, self._check.counts[kind].created)

    async def _forget(self) -> None:
        """Let memory hold nothing of what was written."""
        await self._session.flush()
        self._session.expunge_all()

    async def _rows(self, kind: Kind, reader: Reader, batch: Sequence[Row]) -> None:
        made = [self._row(kind, row) for row in batch]
        for row, each in zip(batch, made, strict=True):
            self._link(kind, reader, row, each)
        self._session.add_all(made)
        await self._session.flush()
        for row, each in zip(batch, made, strict=True):
            self._written(kind, reader, row, each.id)

    def _row(self, kind: Kind, row: Row) -> Any:
        fields = {name: value for name, value in row.values.items() if name not in BESIDE}
        if kind in {Kind.COMPANIES, Kind.CONTACTS}:
            fields["contact_points"] = self._points(row)
        made: Any = NAMED[kind](**fields)
        made.external_id = row.key
        return made

    def _points(self, row: Row) -> list[ContactPoint]:
        return points(
            phones=row.values.get("phones", []),
            emails=row.values.get("emails", []),
            region=self._check.region,
        )

    def _link(self, kind: Kind, reader: Reader, row: Row, made: Any) -> None:
        """Give a row the ids of those it names, as far as they come before it."""
        for field, [said, *_] in row.links.items():
            if (kind, field) in LATER or field in {"further_contacts", "product"}:
                continue
            found = self._find(reader.target(field), said)
            if field.startswith(CUSTOM):
                made.custom[field.removeprefix(CUSTOM)] = found
            else:
                setattr(made, f"{field}_id", found)

    def _written(self, kind: Kind, reader: Reader, row: Row, row_id: int) -> None:
        self._check.known[kind].written(row.key, row.name, row_id)
        for field, [said, *_] in row.links.items():
            if (kind, field) in LATER:
                later = (row_id, reader.target(field), said)
                self._unresolved.setdefault((kind, field), []).append(later)

    async def _items(self, kind: Kind, reader: Reader, batch: Sequence[Row]) -> None:
        session = self._session
        stage_ids = [self._check.shape.stage_id(kind, row) for row in batch]
        stages = {
            stage.id: stage
            for stage in await session.scalars(
                select(Stage)
                .where(Stage.id.in_(set(stage_ids)), Stage.deleted_at.is_(None))
                .order_by(Stage.id)
                .options(joinedload(Stage.pipeline, innerjoin=True))
                .with_for_update(**AGAINST_DELETION, of=Stage)
            )
        }
        if stages.keys() != set(stage_ids):
            raise CannotLoad(CHANGED)
        products = await self._products(batch)
        items = [self._item(kind, reader, row, products) for row in batch]
        author = await session.get_one(User, self._by)
        await create_items(
            session,
            [(item, stages[stage_id]) for item, stage_id in zip(items, stage_ids, strict=True)],
            Cause.person(author),
            automation=self._check.wishes.automation,
        )
        for row, item in zip(batch, items, strict=True):
            self._written(kind, reader, row, item.id)
        await self._link_further_contacts(batch, items)
        # Entries are not kept: they are told of as many that have changed at once.
        untold(session).clear()
        untold(session).add(None)

    def _item(self, kind: Kind, reader: Reader, row: Row, products: Mapping[int, Product]) -> Item:
        table = KINDS[ITEMS[kind]]
        fields: dict[str, Any] = {
            name: value
            for name, value in row.values.items()
            if name not in {*BESIDE, *FACTS} and not name.startswith(CUSTOM)
        }
        fields |= {"custom": custom_of(row), "further_contacts": []}
        if issubclass(table, Lead):
            fields["contact_points"] = self._points(row)
        fields["product_rows"] = [
            sold(products[self._find(Kind.PRODUCTS, said)]) for said in row.links.get("product", [])
        ]
        item = table(**fields)
        item.external_id = row.key
        assign(item, {name: row.values[name] for name in FACTS if name in row.values})
        if "creator" not in reader.table.fields:
            item.creator_id = self._by
        self._link(kind, reader, row, item)
        return item

    async def _products(self, batch: Sequence[Row]) -> Mapping[int, Product]:
        names = {said for row in batch for said in row.links.get("product", [])}
        wanted = {self._find(Kind.PRODUCTS, said) for said in names}
        if not wanted:
            return {}
        found = await self._session.scalars(select(Product).where(Product.id.in_(wanted)))
        return {each.id: each for each in found}

    async def _link_further_contacts(self, batch: Sequence[Row], items: Sequence[Item]) -> None:
        pairs = {
            (item.id, self._find(Kind.CONTACTS, said))
            for row, item in zip(batch, items, strict=True)
            for said in row.links.get("further_contacts", [])
        }
        if pairs:
            told = [{"item_id": item, "contact_id": contact} for item, contact in sorted(pairs)]
            await self._session.execute(insert(item_contacts), told)

    async def _product_rows(self, batch: Sequence[Row]) -> None:
        products = await self._products(batch)
        told = []
        for row in batch:
            item_kind, said = seller_of(row)
            product = next(
                (
                    products[self._find(Kind.PRODUCTS, each)]
                    for each in row.links.get("product", [])
                ),
                None,
            )
            told.append(
                {
                    "item_id": self._find(item_kind, said),
                    "product_id": product and product.id,
                    "name": row.values.get("name") or (product.name if product else ""),
                    "price": row.values.get("price", product and product.price) or Decimal(0),
                    "quantity": row.values.get("quantity", Decimal(1)),
                }
            )
        if told:
            await self._session.execute(insert(ProductRow), told)

    async def _make_missing(self, kind: Kind) -> None:
        known = self._check.known[kind]
        for names in batches(iter(list(known.missing)), BATCH):
            made = [self._row(kind, Row(0, name, {"name": name})) for name in names]
            self._session.add_all(made)
            await self._session.flush()
            for name, each in zip(names, made, strict=True):
                known.written(name, name, each.id)
            await self._forget()

    async def _adopt(self, kind: Kind) -> None:
        table: Any = NAMED[kind]
        for row_id, key in self._check.known[kind].adopted.items():
            done = await self._session.scalar(
                update(table)
                .where(table.id == row_id, table.external_id.is_(None))
                .values(external_id=key, version=table.version + 1)
                .returning(table.id)
                .execution_options(synchronize_session=False)
            )
            if done is None:
                raise CannotLoad(CHANGED)

    async def _fill_in(self) -> None:
        """Give rows the ids of those they name that came after them."""
        for (kind, field), found in self._unresolved.items():
            column = LATER[kind, field]
            table = table_of(kind)
            told = [
                {"row": row_id, "named": self._find(target, said)} for row_id, target, said in found
            ]
            await self._session.execute(
                update(table)
                .where(table.c.id == bindparam("row"))
                .values({column: bindparam("named")}),
                told,
            )

    def _find(self, kind: Kind, said: str) -> int:
        return self._check.known[kind].find(said)


def sold(product: Product) -> ProductRow:
    """Return a row that sells one of a product at its price."""
    return ProductRow.of(
        name=product.name, price=product.price or Decimal(0), product_id=product.id
    )
