"""Documents: which templates a rule names, and which documents of an item it means by them."""

from collections.abc import Sequence

from activities.registry import ActionContext, RulePlace
from models.document import DocumentState, newest_documents
from models.document_template import find_template
from models.errors import ActionFailed, NotFound, Problem


async def template_problem(place: RulePlace, template_id: int, pointer: str) -> list[Problem]:
    """Return why a rule at that place cannot name a template, if it cannot."""
    item_type = place.stage.pipeline.item_type
    try:
        template = await find_template(place.session, template_id)
    except NotFound as missing:
        return [Problem(pointer, missing.message)]
    if template.item_type is item_type:
        return []
    reason = f"«{template.name}» is for {template.item_type}s, not for {item_type}s."
    return [Problem(pointer, reason)]


async def documents_meant(context: ActionContext, template_ids: Sequence[int]) -> list[int]:
    """Return the ids of the newest documents that were made of these templates for the item.

    One that is still being made counts. Fails where there is none, or it could not be made.
    """
    found = await newest_documents(context.session, context.item.id, template_ids)
    for template_id in template_ids:
        document = found.get(template_id)
        if document is None:
            whose = f"document template {template_id} for {context.item.called}"
            raise ActionFailed(f"Nothing has been made of {whose}.")
        if document.state is DocumentState.FAILED:
            raise ActionFailed(f"«{document.title}» could not be made: {document.failure}")
    return [found[each].id for each in dict.fromkeys(template_ids)]
