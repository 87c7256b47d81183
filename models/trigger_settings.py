"""Trigger settings that several types share: nothing at all, a line, a template."""

import re
from collections.abc import Sequence

from pydantic import Field

from models.contact_point import phone_or_text
from models.document_template import find_template
from models.errors import NotFound, Problem
from models.inputs import Name, RowId
from models.occasion import CallOccasion, DocumentOccasion
from models.seen import in_one_line
from models.trigger_type import TriggerPlace, TriggerSettings

SEPARATORS = re.compile(r"[\s()./-]+")
"""What people put into numbers, and telephone systems do not."""

NUMBER = re.compile(r"\+?[\d\s()./-]+")
"""What can be a number, and no name."""


def same_name(one: str, other: str) -> bool:
    """Tell whether two names are the same, whatever their capitals and spaces.

    Those of what comes in are kept in one line, those in settings as somebody has written them.
    """
    return in_one_line(one).casefold() == in_one_line(other).casefold()


class NoSettings(TriggerSettings):
    """Nothing to choose."""


class OnLine(TriggerSettings):
    """On which line of the company."""

    line: Name | None = Field(
        default=None,
        title="Line",
        description="Its number in any spelling, or its name as the telephone system tells it; "
        "any, if empty.",
    )

    def in_words(self) -> str | None:
        return self.line

    def other_line(self, occasion: CallOccasion) -> str | None:
        """Say that a call was on another line, if it was."""
        if self.line is None:
            return None
        if occasion.line is None:
            return "Nobody knows on which line the call was."
        if _compared(occasion.line, occasion.region) == _compared(self.line, occasion.region):
            return None
        return f"The call was on the line {occasion.line}, not {self.line}."


def _compared(line: str, region: str) -> str:
    """Return a line as others are compared with it: its number after E.164, or its name."""
    number = phone_or_text(line, region=region).value if NUMBER.fullmatch(line.strip()) else None
    return number or SEPARATORS.sub("", line).casefold()


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
