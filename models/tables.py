"""Every table, so that importing this module completes the metadata."""

from models import (
    api_token,
    company,
    contact,
    contact_point,
    department,
    exclusion,
    field_definition,
    history,
    installation,
    item,
    kept_answer,
    notification,
    pipeline,
    product,
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
    "field_definition",
    "history",
    "installation",
    "item",
    "kept_answer",
    "notification",
    "pipeline",
    "product",
    "product_row",
    "rule",
    "rule_run",
    "stage_entry",
    "task",
    "timeline",
    "user",
]

metadata = Base.metadata
