"""Invoice is paid: the client has paid what they owe for a deal."""

from models.item_type import ItemType
from models.occasion import Occasion
from models.trigger_settings import NoSettings
from models.trigger_type import trigger_type


@trigger_type(title="Invoice is paid", items=[ItemType.DEAL])
def invoice_paid(settings: NoSettings, occasion: Occasion) -> str | None:  # noqa: ARG001
    """Move the deal when an invoice that was made from it is paid."""
    return None
