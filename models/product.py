"""Products: what the company sells, at its usual price."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models import clock
from models.base import (
    Base,
    ExternalId,
    Record,
    Versioned,
    assign,
    containing,
    having,
    in_order,
)
from models.errors import Invalid, Problem


class Product(Record, Versioned, Base, kw_only=True):
    """`price` is of one, in `currency` or else the company's. What was sold keeps its own price."""

    __tablename__ = "products"
    __table_args__ = (Index(None, "name", "id"), Record.options)

    name: Mapped[str]
    series: Mapped[str | None] = mapped_column(default=None)
    price: Mapped[Decimal | None] = mapped_column(default=None)
    currency: Mapped[str | None] = mapped_column(default=None)
    external_id: Mapped[ExternalId] = mapped_column(default=None, index=True, unique=True)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)


def products_where(*, q: str | None = None, **values: object) -> Select[Product]:
    """Return the products on sale that have these values, None meaning any.

    `q` is looked for in names.
    """
    there = select(Product).where(Product.deleted_at.is_(None))
    return having(there, **values).where(*containing(Product.name, q))


async def add_product(session: AsyncSession, fields: Mapping[str, Any]) -> Product:
    product = Product(**fields)
    session.add(product)
    await session.flush()
    return product


async def change_product(
    session: AsyncSession, product: Product, changes: Mapping[str, Any]
) -> None:
    assign(product, changes)
    await session.flush()


def remove_product(product: Product) -> None:
    """Take a locked product off sale; what was sold of it stays as it is."""
    product.deleted_at = clock.now()


async def priced(
    session: AsyncSession,
    rows: Sequence[Mapping[str, Any]],
    sold_before: Collection[int | None] = (),
) -> list[dict[str, Any]]:
    """Return product rows with what they leave out: name and price are those of the product.

    A product that is no longer on sale may stay where it was sold before. Raises `Invalid` with
    pointers into `/product_rows`.
    """
    wanted = in_order(row.get("product_id") for row in rows)
    there = Product.deleted_at.is_(None) | Product.id.in_(in_order(sold_before))
    found = await session.scalars(
        select(Product)
        .where(Product.id.in_(wanted), there)
        .order_by(Product.id)
        .with_for_update(read=True, key_share=True)
    )
    products = {product.id: product for product in found}
    told, problems = [], []
    for place, row in enumerate(rows):
        product_id = row.get("product_id")
        product = products.get(product_id or 0)
        name = row.get("name") or getattr(product, "name", None)
        price = row.get("price")
        price = getattr(product, "price", None) if price is None else price
        if product_id is not None and product is None:
            reason = f"There is no product {product_id}."
            problems.append(Problem(f"/product_rows/{place}/product_id", reason))
        elif name is None:
            reason = "Say what is sold, or a product_id."
            problems.append(Problem(f"/product_rows/{place}/name", reason))
        elif price is None:
            reason = "Say the price; the product has none." if product else "Say the price."
            problems.append(Problem(f"/product_rows/{place}/price", reason))
        told.append({**row, "name": name, "price": price, "product_id": product_id})
    if problems:
        raise Invalid(*problems)
    return told
