"""Product rows: what a deal sells, how much of it, at which price."""

from decimal import Decimal

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Record


class ProductRow(Record, Base, kw_only=True):
    """Price per unit in the item's currency."""

    __tablename__ = "product_rows"
    __table_args__ = (Index(None, "item_id"), Record.options)

    name: Mapped[str]
    price: Mapped[Decimal]
    quantity: Mapped[Decimal] = mapped_column(default=Decimal(1))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), init=False)

    @property
    def total(self) -> Decimal:
        return self.price * self.quantity
