"""The values that texts and conditions speak of: every field of the catalogue, for one item."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import instance_state

from models.company import Company
from models.contact import Contact
from models.contact_point import Reachable
from models.fields import fields_of
from models.item import Item, Lead, load_whole
from models.user import User


async def field_values(
    session: AsyncSession, item: Item, *, url: str, currency: str, wanted: str = ""
) -> Mapping[str, object]:
    """Return the value of every field by its full path, None where it is empty.

    `wanted` is any text that mentions the names of all fields that matter, a rule as JSON for
    example: phones, addresses and products are read only where their names occur in it.
    """
    await load_whole(
        session,
        item,
        reachable="phone" in wanted or "email" in wanted,
        products="products" in wanted,
    )
    values: dict[str, object] = dict.fromkeys(fields_of(item.type))
    own = _of_item(item, url=url, currency=currency)
    for prefix, fields in (
        ("item", own),
        (str(item.type), own),
        ("contact", _of_client(item.contact)),
        ("company", _of_client(item.company)),
        ("responsible", _of_user(item.responsible)),
        ("creator", _of_user(item.creator)),
    ):
        values |= {f"{prefix}.{name}": value for name, value in fields.items()}
    return values


def _of_item(item: Item, *, url: str, currency: str) -> dict[str, object]:
    fields: dict[str, object] = {
        "id": item.id,
        "title": item.title,
        "url": f"{url}/v1/{item.type}s/{item.id}",
        "stage": item.stage.name,
        "pipeline": item.pipeline.name,
        "amount": item.amount,
        "currency": item.currency or currency,
        "begin_date": item.begin_date,
        "close_date": item.close_date,
        "source": item.source,
        "comments": item.comments,
        "created_at": item.created_at,
        "products": [
            {"name": row.name, "price": row.price, "quantity": row.quantity, "total": row.total}
            for row in _loaded(item, "product_rows")
        ],
        **{f"custom.{name}": value for name, value in item.custom.items()},
    }
    if isinstance(item, Lead):
        fields |= {
            "is_repeat": item.is_repeat,
            "name": " ".join(part for part in (item.first_name, item.last_name) if part) or None,
            "first_name": item.first_name,
            "last_name": item.last_name,
            **_reached(item),
        }
    return fields


def _of_client(client: Contact | Company | None) -> dict[str, object]:
    if client is None:
        return {}
    fields: dict[str, object] = {"id": client.id, "name": client.name or None, **_reached(client)}
    if isinstance(client, Contact):
        fields |= {
            "first_name": client.first_name,
            "last_name": client.last_name,
            "position": client.position,
        }
    return fields


def _of_user(user: User | None) -> dict[str, object]:
    return {} if user is None else {"id": user.id, "name": user.name, "email": user.email}


def _reached(who: Reachable) -> dict[str, object]:
    if not _loaded(who, "contact_points"):
        return {"phone": None, "email": None}
    return {"phone": next(iter(who.phones), None), "email": next(iter(who.emails), None)}


def _loaded(row: Any, collection: str) -> list[Any]:
    return [] if collection in instance_state(row).unloaded else list(getattr(row, collection))
