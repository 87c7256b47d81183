"""Document viewed: a document was opened through its public link."""

from models.occasion import DocumentOccasion
from models.trigger_settings import OfTemplate
from models.trigger_type import trigger_type


@trigger_type(title="Document viewed")
def document_viewed(settings: OfTemplate, occasion: DocumentOccasion) -> str | None:
    """Move the item when a document of it is opened through its public link, for the first time."""
    return settings.other_template(occasion)
