"""Every table, so that importing this module completes the metadata."""

from models import (
    api_token,
    company,
    contact,
    contact_point,
    department,
    exclusion,
    history,
    installation,
    item,
    notification,
    pipeline,
    product_row,
    rule,
    rule_run,
    stage_entry,
    task,
    timeline,
    user,
)
from models.base import Base

__all__ = [
    "api_token",
    "company",
    "contact",
    "contact_point",
    "department",
    "exclusion",
    "history",
    "installation",
    "item",
    "notification",
    "pipeline",
    "product_row",
    "rule",
    "rule_run",
    "stage_entry",
    "task",
    "timeline",
    "user",
]

metadata = Base.metadata
