"""Products: what the company sells, at its usual price."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import MANAGERS, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    Currency,
    Filter,
    Id,
    Money,
    Name,
    Page,
    Read,
    SearchText,
    ShortText,
    Version,
    Write,
)
from models.base import find
from models.product import Product, add_product, change_product, products_where, remove_product

router = resource("products", "/products")


class ProductRead(Read):
    id: int
    name: str
    series: str | None
    price: Decimal | None
    currency: str | None = Field(description="The company's, if null.")
    external_id: str | None = Field(description="What it is called where it was loaded from.")
    created_at: datetime
    version: Version


class ProductFields(Write):
    """Price of one; an item that sells it keeps the price of its time."""

    series: ShortText | None = None
    price: Money | None = None
    currency: Currency | None = None


class ProductCreate(ProductFields):
    name: Name


class ProductUpdate(ProductFields):
    """What is left out stays as it is."""

    name: Name = ""


class ProductFilter(Filter):
    """Which products to list."""

    q: SearchText | None = Field(default=None, description="Somewhere in the name.")
    series: ShortText | None = None


Sorted = Annotated[PageQuery, sorted_by("id", "name", "price", "created_at")]


async def _present(session: Session, product_id: Id) -> Product:
    return await find(session, Product, product_id)


async def _locked(session: Session, product_id: Id, match: IfMatch) -> Product:
    return match.of(await find(session, Product, product_id, lock=True))


PresentProduct = Annotated[Product, Depends(_present)]
LockedProduct = Annotated[Product, Depends(_locked)]


@router.get("")
async def list_products(
    session: ReadSession, where: Annotated[ProductFilter, Query()], paging: Sorted
) -> Page[ProductRead]:
    """Return the products on sale, oldest first, if not said otherwise."""
    return await page_of(session, products_where(**where.asked()), paging, ProductRead)


@router.post("", status_code=status.HTTP_201_CREATED, dependencies=[MANAGERS])
async def create_product(session: Session, new: ProductCreate) -> ProductRead:
    """Create a product; the product rows of deals can name it."""
    return ProductRead.model_validate(await add_product(session, new.changes()))


@router.get("/{product_id}")
async def read_product(product: PresentProduct) -> ProductRead:
    """Return a product."""
    return ProductRead.model_validate(product)


@router.patch("/{product_id}", dependencies=[MANAGERS])
async def update_product(
    session: Session, product: LockedProduct, sent: ProductUpdate
) -> ProductRead:
    """Change a product; what was sold of it keeps its name and price."""
    await change_product(session, product, sent.changes())
    return ProductRead.model_validate(product)


@router.delete("/{product_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS])
async def delete_product(product: LockedProduct) -> None:
    """Take a product off sale; deals that sold it stay as they are."""
    remove_product(product)
