"""The values that texts and conditions speak of: every field of the catalogue, for one item."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import instance_state

from models.company import Company
from models.contact import Contact
from models.contact_point import Reachable
from models.custom_fields import user_ids, users_in
from models.custom_values import meaning
from models.fields import CUSTOM_USER_FIELDS, Catalogue
from models.item import Invoice, Item, Lead, load_whole
from models.user import User


async def field_values(
    session: AsyncSession,
    item: Item,
    catalogue: Catalogue,
    *,
    url: str,
    currency: str,
    wanted: str = "",
) -> Mapping[str, object]:
    """Return the value of every field by its full path, None where it is empty.

    `wanted` is any text that mentions the names of all fields that matter, a rule as JSON for
    example: phones, addresses, products and the users of custom fields are read only where their
    names occur in it. A custom value that is not of the kind of its field is there as it is kept.
    """
    await load_whole(
        session,
        item,
        reachable="phone" in wanted or "email" in wanted,
        products="products" in wanted,
    )
    values: dict[str, object] = dict.fromkeys(catalogue.fields)
    custom = await _custom(session, item, catalogue, wanted)
    own = _of_item(item, url=url, currency=currency) | custom
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
    }
    if isinstance(item, Lead):
        fields |= {
            "is_repeat": item.is_repeat,
            "name": " ".join(part for part in (item.first_name, item.last_name) if part) or None,
            "first_name": item.first_name,
            "last_name": item.last_name,
            "converted_at": item.converted_at,
            **_reached(item),
        }
    if isinstance(item, Invoice):
        fields["paid_at"] = item.paid_at
    return fields


async def _custom(
    session: AsyncSession, item: Item, catalogue: Catalogue, wanted: str
) -> dict[str, object]:
    """Return custom values by their paths within the item, with what is told of users."""
    fields = {
        name: field
        for name in item.custom
        if (field := catalogue.find(f"item.custom.{name}")) is not None
    }
    values: dict[str, object] = {
        f"custom.{name}": meaning(fields[name].kind, kept) if name in fields else kept
        for name, kept in item.custom.items()
    }
    users = {name: each for name, each in user_ids(fields, item.custom).items() if name in wanted}
    people = await users_in(session, users.values())
    for name, user_id in users.items():
        told = _of_user(people.get(user_id))
        values |= {f"custom.{name}.{each.path}": told.get(each.path) for each in CUSTOM_USER_FIELDS}
    return values


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
    else:
        fields["address"] = client.address
    return fields


def _of_user(user: User | None) -> dict[str, object]:
    return {} if user is None else {"id": user.id, "name": user.name, "email": user.email}


def _reached(who: Reachable) -> dict[str, object]:
    if not _loaded(who, "contact_points"):
        return {"phone": None, "email": None}
    return {"phone": next(iter(who.phones), None), "email": next(iter(who.emails), None)}


def _loaded(row: Any, collection: str) -> list[Any]:
    return [] if collection in instance_state(row).unloaded else list(getattr(row, collection))
