"""Trigger settings that several types share: nothing at all, a line, a template."""

import re
from collections.abc import Sequence

from pydantic import Field

from models.document_template import find_template
from models.errors import NotFound, Problem
from models.inputs import Name, RowId
from models.occasion import CallOccasion, DocumentOccasion
from models.trigger_type import TriggerPlace, TriggerSettings

SEPARATORS = re.compile(r"[\s()./-]+")
"""What people put into numbers, and telephone systems do not."""


class NoSettings(TriggerSettings):
    """Nothing to choose."""


class OnLine(TriggerSettings):
    """On which line of the company."""

    line: Name | None = Field(
        default=None,
        title="Line",
        description="Its number or name, as the telephone system tells it; any, if empty.",
    )

    def in_words(self) -> str | None:
        return self.line

    def other_line(self, occasion: CallOccasion) -> str | None:
        """Say that a call was on another line, if it was."""
        if self.line is None or _compared(occasion.line) == _compared(self.line):
            return None
        if occasion.line is None:
            return "Nobody knows on which line the call was."
        return f"The call was on the line {occasion.line}, not {self.line}."


def _compared(line: str | None) -> str:
    return SEPARATORS.sub("", line or "").casefold()


class OfTemplate(TriggerSettings):
    """Of which template."""

    template: RowId | None = Field(
        default=None,
        title="Template",
        description="That the document is made of; any, if empty.",
    )

    async def problems(self, place: TriggerPlace) -> Sequence[Problem]:
        if self.template is None:
            return ()
        item_type = place.stage.pipeline.item_type
        try:
            template = await find_template(place.session, self.template)
        except NotFound as missing:
            return [Problem("/template", missing.reason)]
        if template.item_type is item_type:
            return ()
        reason = f"«{template.name}» is for {template.item_type}s, not for {item_type}s."
        return [Problem("/template", reason)]

    def in_words(self) -> str | None:
        return None if self.template is None else f"template {self.template}"

    def other_template(self, occasion: DocumentOccasion) -> str | None:
        """Say that a document was made of another template, if it was."""
        if self.template in {None, occasion.template_id}:
            return None
        return f"The document is of template {occasion.template_id}, not {self.template}."
