"""Document created: a document was made for the item."""

from models.occasion import DocumentOccasion
from models.trigger_settings import OfTemplate
from models.trigger_type import trigger_type


@trigger_type(title="Document created")
def document_created(settings: OfTemplate, occasion: DocumentOccasion) -> str | None:
    """Move the item when a document has been made for it."""
    return settings.other_template(occasion)
