"""What an item can be: the one list that every layer shares."""

from enum import StrEnum


class ItemType(StrEnum):
    LEAD = "lead"
    DEAL = "deal"
    QUOTE = "quote"
    INVOICE = "invoice"
