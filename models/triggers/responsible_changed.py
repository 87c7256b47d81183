"""Responsible person changed: somebody else, or nobody, takes care of the item now."""

from models.occasion import Occasion
from models.trigger_settings import NoSettings
from models.trigger_type import trigger_type


@trigger_type(title="Responsible person changed")
def responsible_changed(settings: NoSettings, occasion: Occasion) -> str | None:  # noqa: ARG001
    """Move the item when somebody else becomes responsible for it, or nobody is any more."""
    return None
