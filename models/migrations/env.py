"""What Alembic runs: the migrations, on the connection that it was given."""

from typing import Any, Literal

from alembic import context

from models.base import EnumText, Money, UtcDateTime
from models.tables import metadata

PLAIN = {
    EnumText: "sa.String(40)",
    Money: "sa.Numeric(18, 2).with_variant(sa.BigInteger(), 'sqlite')",
    UtcDateTime: "sa.DateTime(timezone=True)",
}


def plain_type(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """Write our column types as SQLAlchemy's own, so that old migrations need no code of ours."""
    return PLAIN.get(type(thing), False) if kind == "type" else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    render_item=plain_type,
)
with context.begin_transaction():
    context.run_migrations()
