"""Product rows: what an item sells, how much of it, at which price."""

from decimal import Decimal
from typing import Any, Self

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, Record
from models.product import Product


class ProductRow(Record, Base, kw_only=True):
    """Price per unit in the item's currency."""

    __tablename__ = "product_rows"
    __table_args__ = (Index(None, "item_id"), Index(None, "product_id"), Record.options)

    name: Mapped[str]
    price: Mapped[Decimal]
    quantity: Mapped[Decimal] = mapped_column(default=Decimal(1))
    product_id: Mapped[int | None] = mapped_column(ForeignKey(Product.id), init=False)
    product: Mapped[Product | None] = relationship(default=None, lazy="raise")
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), init=False)

    @classmethod
    def of(cls, *, product_id: int | None = None, **fields: Any) -> Self:
        """Return a new row, which may name a product by its id."""
        row = cls(**fields)
        if product_id is not None:
            row.product_id = product_id
        return row

    def again(self) -> "ProductRow":
        """Return a new row that sells the same."""
        return ProductRow.of(
            name=self.name, price=self.price, quantity=self.quantity, product_id=self.product_id
        )

    @property
    def total(self) -> Decimal:
        return self.price * self.quantity
