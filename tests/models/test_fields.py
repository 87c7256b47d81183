import pytest

from models.fields import Catalogue, Field, FieldKind
from models.item_type import ItemType

DEAL = Catalogue.of(ItemType.DEAL)
LEAD = Catalogue.of(ItemType.LEAD)


@pytest.mark.parametrize("item_type", ItemType)
def test_an_item_is_known_by_its_type_and_as_item(item_type: ItemType) -> None:
    fields = Catalogue.of(item_type).fields

    assert fields[f"{item_type}.amount"].kind is fields["item.amount"].kind is FieldKind.MONEY


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("deal.id", FieldKind.NUMBER),
        ("deal.close_date", FieldKind.DATE),
        ("deal.created_at", FieldKind.DATETIME),
        ("deal.products", FieldKind.ROWS),
        ("contact.position", FieldKind.TEXT),
        ("company.phone", FieldKind.TEXT),
        ("responsible.id", FieldKind.NUMBER),
        ("creator.email", FieldKind.TEXT),
    ],
)
def test_a_deal_offers_its_fields_and_those_of_its_people(path: str, kind: FieldKind) -> None:
    assert DEAL.fields[path].kind is kind


def test_products_are_rows_of_columns() -> None:
    products = DEAL.fields["deal.products"]

    assert {column.path: column.kind for column in products.columns} == {
        "name": FieldKind.TEXT,
        "price": FieldKind.MONEY,
        "quantity": FieldKind.NUMBER,
        "total": FieldKind.MONEY,
    }


def test_only_leads_have_names_of_their_own() -> None:
    assert LEAD.find("lead.is_repeat") is not None
    assert DEAL.find("deal.is_repeat") is None
    assert DEAL.find("lead.title") is None


@pytest.mark.parametrize("path", ["deal.custom.contract_no", "item.custom.contract_no"])
def test_a_custom_field_is_known_under_both_names(path: str) -> None:
    catalogue = Catalogue.of(
        ItemType.DEAL, [Field("contract_no", "Contract number", FieldKind.NUMBER)]
    )

    assert catalogue.find(path) == Field(path, "Contract number", FieldKind.NUMBER)


def test_a_custom_field_brings_its_choices() -> None:
    size = Field("size", "Size", FieldKind.LIST, choices=("Small", "Large"))

    found = Catalogue.of(ItemType.DEAL, [size]).find("deal.custom.size")

    assert found == Field("deal.custom.size", "Size", FieldKind.LIST, choices=("Small", "Large"))


def test_a_custom_field_that_is_a_user_has_a_name_and_an_address() -> None:
    catalogue = Catalogue.of(ItemType.DEAL, [Field("manager", "Manager", FieldKind.USER)])

    assert [each for path, each in catalogue.fields.items() if "item.custom" in path] == [
        Field("item.custom.manager", "Manager", FieldKind.USER),
        Field("item.custom.manager.name", "Manager: Name", FieldKind.TEXT),
        Field("item.custom.manager.email", "Manager: E-mail", FieldKind.TEXT),
    ]


@pytest.mark.parametrize("path", ["deal.custom.contract_no", "deal.custom", "custom.contract_no"])
def test_a_custom_field_that_nobody_defined_is_unknown(path: str) -> None:
    assert DEAL.find(path) is None


def test_the_fields_of_one_catalogue_are_not_those_of_another() -> None:
    Catalogue.of(ItemType.DEAL, [Field("floors", "Floors", FieldKind.NUMBER)])

    assert Catalogue.of(ItemType.DEAL).find("deal.custom.floors") is None


def test_an_unknown_field_names_the_nearest_real_one() -> None:
    assert DEAL.unknown("contact.nmae") == "unknown field contact.nmae, did you mean contact.name?"


def test_of_a_field_like_no_other_nothing_else_is_said_to_be_meant() -> None:
    assert DEAL.unknown("weather") == "unknown field weather"
