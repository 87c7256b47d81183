"""Is this file a template that can be filled? Asked when it is uploaded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from documents.child_process import ChildFailed, ask
from documents.shape import DOCUMENT_FIELDS, LARGEST_TEMPLATE, MEGABYTE, MOST_REASONS
from models.errors import Invalid, Problem
from models.fields import Catalogue, Field, FieldKind
from models.near_misses import did_you_mean

SEVERAL = {FieldKind.ROWS, FieldKind.MULTI}


@dataclass(frozen=True)
class FieldUse:
    """A field that a template mentions, by full path; a column follows its rows after `[]`.

    `name` is how the template writes it, `where` is for people: *header, at «Contract no. {{ …»*.
    `way` is `printed`, `looped` (its rows are gone through) or `asked`.
    """

    path: str
    name: str
    where: str
    way: str


@dataclass(frozen=True)
class Checked:
    """What a template that is in order is made of."""

    uses: tuple[FieldUse, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The paths of its fields, each once, in the order of the text; rows without columns."""
        return tuple(dict.fromkeys(use.path.partition("[]")[0] for use in self.uses))


async def check(
    content: bytes,
    catalogue: Catalogue,
    *,
    extra: Iterable[Field] = DOCUMENT_FIELDS,
    pointer: str = "/content",
) -> Checked:
    """Return which fields this DOCX uses; raise `Invalid` with all that is wrong with it.

    `extra` are fields besides those of the catalogue, by full path; rows among them have columns.
    `pointer` is the JSON pointer that the problems name.
    """
    if len(content) > LARGEST_TEMPLATE:
        raise Invalid(Problem(pointer, f"larger than {LARGEST_TEMPLATE // MEGABYTE} MB"))
    try:
        answer, _ = await ask({"task": "check"}, content)
        reasons = [str(reason) for reason in answer["reasons"]]
        uses = tuple(FieldUse(**use) for use in answer["uses"])
    except ChildFailed as failed:
        raise Invalid(Problem(pointer, f"reading it {failed}")) from failed
    known = {**catalogue.fields, **{field.path: field for field in extra}}
    wider = replace(catalogue, fields=MappingProxyType(known))
    reasons += dict.fromkeys(
        f"{use.where}: {wrong}" for use in uses for wrong in _wrong(use, wider)
    )
    if reasons:
        raise Invalid(*(Problem(pointer, reason) for reason in reasons[:MOST_REASONS]))
    return Checked(uses)


def _wrong(use: FieldUse, catalogue: Catalogue) -> Iterator[str]:
    rows, within, column = use.path.partition("[]")
    field = catalogue.find(rows)
    if field is None:
        if example := next(
            (each for each in catalogue.fields if each.startswith(f"{rows}.")), None
        ):
            yield f"{use.name} holds several fields, name one such as {example}"
        else:
            yield catalogue.unknown(rows)
    elif within:
        if field.kind is FieldKind.ROWS:
            yield from _wrong_column(use, field, column)
        elif column:
            yield f"unknown field {use.name}: {rows} has no columns"
    elif use.way == "looped" and field.kind not in SEVERAL:
        yield f"{rows} holds one value, there is nothing to loop over"
    elif use.way == "printed" and field.kind is FieldKind.ROWS:
        yield f"{rows} is no text; loop over the rows and name a column"


def _wrong_column(use: FieldUse, rows: Field, column: str) -> Iterator[str]:
    columns = [each.path for each in rows.columns]
    if not column:
        if use.way == "printed":
            yield f"{use.name} is a row: name one of its columns"
    elif column.removeprefix(".") not in columns:
        row = use.name.rpartition(".")[0]
        meant = did_you_mean(use.name, [f"{row}.{each}" for each in columns])
        yield f"unknown field {use.name}{meant}"
