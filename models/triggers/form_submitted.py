"""Web form filled in: somebody has left their wishes on the website."""

from pydantic import Field

from models.inputs import Name
from models.occasion import FormOccasion
from models.trigger_settings import same_name
from models.trigger_type import TriggerSettings, trigger_type


class FormSubmitted(TriggerSettings):
    """Which forms count."""

    form: Name | None = Field(
        default=None,
        title="Form",
        description="What the form calls itself when it is sent to us; any, if empty.",
    )

    def in_words(self) -> str | None:
        return self.form


@trigger_type(title="Web form filled in")
def form_submitted(settings: FormSubmitted, occasion: FormOccasion) -> str | None:
    """Move the item when its client fills in a web form, or the lead that is made of one."""
    if settings.form is None or same_name(settings.form, occasion.form):
        return None
    return f"The form was {occasion.form}, not {settings.form}."
