"""A deal whose every kind of field is filled, as documents are given it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypedDict

from models.fields import Catalogue, Field, FieldKind
from models.item_type import ItemType

CATALOGUE = Catalogue.of(
    ItemType.DEAL,
    [
        Field("contract_no", "Contract number", FieldKind.TEXT),
        Field("manager", "Manager", FieldKind.USER),
        Field("tags", "Tags", FieldKind.MULTI),
        Field("signed", "Signed", FieldKind.BOOLEAN),
    ],
)

OF_DEAL: dict[str, object] = {
    "title": 'Bikes <24> & "co" {{ x }}',
    "amount": Decimal("12345.50"),
    "currency": "PLN",
    "close_date": date(2026, 12, 1),
    "created_at": datetime(2026, 11, 22, 23, 30, tzinfo=UTC),
    "comments": "first line\nsecond line",
    "products": [
        {
            "name": f"Bike no. {number} & bell",
            "price": Decimal("1234.5"),
            "quantity": Decimal(number),
            "total": Decimal("1234.5") * number,
        }
        for number in (1, 2, 3)
    ],
    "custom.contract_no": "C-7",
    "custom.manager": 5,
    "custom.manager.name": "Ola Nowak",
    "custom.tags": ["red", "blue"],
    "custom.signed": True,
}

VALUES: dict[str, object] = {
    **dict.fromkeys(CATALOGUE.fields),
    **{f"{root}.{name}": value for root in ("deal", "item") for name, value in OF_DEAL.items()},
    "contact.name": "Łukasz Żółć",
    "document.number": "V-2026/7",
    "document.date": date(2026, 11, 22),
}


class Poland(TypedDict):
    locale: str
    zone: str


POLAND = Poland(locale="pl_PL", zone="Europe/Warsaw")
