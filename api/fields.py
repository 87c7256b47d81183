"""The fields of items: what texts, conditions and timing can speak of."""

from collections.abc import Callable
from functools import partial
from typing import Self

from pydantic import Field

from api.dependencies import ReadSession
from api.languages import Language
from api.paging import Paging, page_among
from api.routing import resource
from api.schemas import Page, Read
from models.conditions import OPERATORS, Operator
from models.field_definition import catalogue_of
from models.fields import Field as CatalogueField
from models.fields import FieldKind
from models.item_type import ItemType
from models.languages import translated

router = resource("rules", "/fields")


class FieldRead(Read):
    path: str = Field(description="How texts and conditions name it.", examples=["deal.amount"])
    title: str
    kind: FieldKind
    choices: list[str] = Field(description="What a list lets choose from.")
    columns: list[str] = Field(description="What a row of it has, for texts that loop over rows.")
    operators: list[Operator] = Field(description="Those that conditions know for it.")

    @classmethod
    def of(cls, field: CatalogueField, say: Callable[[str], str]) -> Self:
        return cls(
            path=field.path,
            title=_title(field, say),
            kind=field.kind,
            choices=list(field.choices),
            columns=[column.path for column in field.columns],
            operators=[each for each in Operator if each in OPERATORS[field.kind]],
        )


def _title(field: CatalogueField, say: Callable[[str], str]) -> str:
    """Return what a field is called; custom fields have the names that people gave them."""
    _, custom, name = field.path.partition(".custom.")
    if not custom:
        return say(field.title)
    if "." not in name:
        return field.title
    whose, colon, own = field.title.rpartition(": ")
    return f"{whose}{colon}{say(own)}"


@router.get("")
async def list_fields(
    session: ReadSession, language: Language, paging: Paging, item_type: ItemType = ItemType.DEAL
) -> Page[FieldRead]:
    """Return what texts, conditions and timing can speak of, custom fields included.

    The fields of the item itself are there twice: under its type and under `item`. Titles are in
    the language that is asked for; custom fields are called as people have called them.
    """
    catalogue = await catalogue_of(session, item_type)
    say = partial(translated, locale=language)
    fields = [FieldRead.of(each, say) for each in catalogue.fields.values()]
    return page_among(fields, paging, "path", FieldRead)
