"""Create document: make an offer, a contract, a letter from a template."""

from collections.abc import Iterator, Sequence

from pydantic import Field

from activities.documents import template_problem
from activities.field_changes import LONGEST_PATH
from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    RulePlace,
    as_title,
    rule_action,
)
from models.delivery import DeliveryKind
from models.document import Document, DocumentContent, public_link
from models.document_template import find_template
from models.errors import ActionFailed, Problem
from models.field_definition import catalogue_of
from models.fields import Catalogue, FieldKind
from models.inputs import MOST_IN_A_LIST, RowId
from models.item_type import ItemType
from models.templates import Template

NUMBER, DATE = "document.number", "document.date"


class FieldText(ActionParams):
    """What a document says instead of a field."""

    field: str = Field(
        title="Field", max_length=LONGEST_PATH, examples=["deal.amount", "document.date"]
    )
    text: Template = Field(title="Text", description="Empty for nothing.")


class CreateDocument(ActionParams):
    template: RowId = Field(title="Template")
    title: Template | None = Field(
        default=None,
        title="Title",
        description="The name of the template, if empty. The number follows it.",
    )
    values: tuple[FieldText, ...] = Field(
        default=(),
        max_length=MOST_IN_A_LIST,
        title="Values to override",
        description="What this document says instead of fields of the item.",
    )
    as_pdf: bool = Field(default=True, title="As PDF", description="Beside the DOCX.")
    on_timeline: bool = Field(default=False, title="Attach to the timeline")

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        catalogue = await catalogue_of(place.session, place.stage.pipeline.item_type)
        return [
            *await template_problem(place, self.template, "/template"),
            *self._wrong_fields(catalogue),
        ]

    def _wrong_fields(self, catalogue: Catalogue) -> Iterator[Problem]:
        for place, each in enumerate(self.values):
            field, at = catalogue.find(each.field), f"/values/{place}/field"
            if each.field == NUMBER:
                yield Problem(at, "the number comes from the template")
            elif field is None and each.field != DATE:
                yield Problem(at, catalogue.unknown(each.field))
            elif field is not None and field.kind is FieldKind.ROWS:
                yield Problem(at, f"{each.field} holds rows, which no text can stand for")


@rule_action(
    title="Create CRM document",
    group=ActionGroup.COMMUNICATION,
    items=ItemType,
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("title", "Title", FieldKind.TEXT),
        Result("number", "Number", FieldKind.TEXT),
        Result("url", "Link", FieldKind.TEXT),
    ],
)
async def create_document(params: CreateDocument, context: ActionContext) -> str:
    """Make a document from a template, under the next number of that, as DOCX and PDF.

    It can be sent as an attachment, or by its public link, which tells when the client has opened
    it and can be revoked.
    """
    template = await find_template(context.session, params.template)
    document = Document(
        title=as_title(template.name if params.title is None else context.render(params.title)),
        template=template,
        template_version=template.versions[-1],
        item=context.item,
        values={each.field: context.render(each.text) for each in params.values},
        on_timeline=params.on_timeline,
    )
    context.session.add(document)
    await context.session.flush()
    document.delivery = await context.deliver(
        DeliveryKind.DOCUMENT,
        recipient=document.title,
        subject=document.title,
        content=DocumentContent(document_id=document.id, as_pdf=params.as_pdf),
    )
    if document.delivery is None:
        raise ActionFailed(f"«{document.title}» was made by an earlier try already.")
    context.leave(
        id=document.id,
        title=document.title,
        url=public_link(document, context.home.signing_key, context.url),
    )
    return f"Document «{document.title}»."
