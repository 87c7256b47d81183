import pytest

from models.fields import (
    FieldKind,
    fields_of,
    find_field,
    find_field_of_any,
    nearest,
    unknown_field,
)
from models.item_type import ItemType


@pytest.mark.parametrize("item_type", ItemType)
def test_an_item_is_known_by_its_type_and_as_item(item_type: ItemType) -> None:
    fields = fields_of(item_type)

    assert fields[f"{item_type}.amount"].kind is fields["item.amount"].kind is FieldKind.MONEY


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("deal.id", FieldKind.NUMBER),
        ("deal.close_date", FieldKind.DATE),
        ("deal.created_at", FieldKind.DATETIME),
        ("deal.products", FieldKind.LIST),
        ("contact.position", FieldKind.TEXT),
        ("company.phone", FieldKind.TEXT),
        ("responsible.id", FieldKind.NUMBER),
        ("creator.email", FieldKind.TEXT),
    ],
)
def test_a_deal_offers_its_fields_and_those_of_its_people(path: str, kind: FieldKind) -> None:
    assert fields_of(ItemType.DEAL)[path].kind is kind


def test_products_are_rows_of_columns() -> None:
    products = fields_of(ItemType.DEAL)["deal.products"]

    assert {column.path: column.kind for column in products.columns} == {
        "name": FieldKind.TEXT,
        "price": FieldKind.MONEY,
        "quantity": FieldKind.NUMBER,
        "total": FieldKind.MONEY,
    }


def test_only_leads_have_names_of_their_own() -> None:
    assert find_field(ItemType.LEAD, "lead.is_repeat") is not None
    assert find_field(ItemType.DEAL, "deal.is_repeat") is None
    assert find_field(ItemType.DEAL, "lead.title") is None


@pytest.mark.parametrize("path", ["deal.custom.contract_no", "item.custom.größe"])
def test_custom_fields_are_texts_of_any_name(path: str) -> None:
    field = find_field(ItemType.DEAL, path)

    assert field is not None
    assert field.kind is FieldKind.TEXT


@pytest.mark.parametrize("path", ["lead.custom.x", "deal.custom.1x", "deal.custom", "custom.x"])
def test_a_custom_field_needs_its_item_and_an_identifier(path: str) -> None:
    assert find_field(ItemType.DEAL, path) is None


def test_a_field_is_found_whatever_type_has_it() -> None:
    assert find_field_of_any("lead.phone") is not None
    assert find_field_of_any("deal.phone") is None


def test_an_unknown_field_names_the_nearest_real_one() -> None:
    reason = unknown_field(ItemType.DEAL, "contact.nmae")

    assert reason == "unknown field contact.nmae, did you mean contact.name?"


def test_a_field_like_no_other_has_no_nearest() -> None:
    assert nearest(ItemType.DEAL, "weather") is None
    assert unknown_field(ItemType.DEAL, "weather") == "unknown field weather"
