"""Messages by the handle of whoever wrote them, also where their phone is known"""

from hashlib import sha256

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB as PostgresJson

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(PostgresJson(none_as_null=True), "postgresql")

INBOUND = sa.table(
    "inbound",
    sa.column("id", sa.BigInteger()),
    sa.column("kind", sa.String()),
    sa.column("content", JSON),
    sa.column("handle", sa.Text()),
)

LONGEST_KEY = 200
AT_ONCE = 1000


def upgrade() -> None:
    op.add_column("inbound", sa.Column("handle", sa.Text(), nullable=True))
    _fill_in()
    op.create_index("ix_inbound_handle_id", "inbound", ["handle", "id"])


def downgrade() -> None:
    op.drop_index("ix_inbound_handle_id", "inbound")
    op.drop_column("inbound", "handle")


def _fill_in() -> None:
    """Keep the handles of messages that have come in, in the order in which they came."""
    connection = op.get_bind()
    last = 0
    while rows := connection.execute(
        sa.select(INBOUND.c.id, INBOUND.c.content)
        .where(INBOUND.c.kind == "message", INBOUND.c.id > last)
        .order_by(INBOUND.c.id)
        .limit(AT_ONCE)
    ).all():
        for inbound_id, content in rows:
            if handle := content.get("handle"):
                key = _key(content["channel"], handle)
                change = sa.update(INBOUND).where(INBOUND.c.id == inbound_id).values(handle=key)
                connection.execute(change)
        last = rows[-1].id


def _key(channel: str, handle: str) -> str:
    """Return what somebody is called in a channel, which stands before it without a colon."""
    scope = channel.strip().casefold().replace("%", "%25").replace(":", "%3a")
    key = f"{scope}:{handle.casefold().strip()}"
    if len(key) <= LONGEST_KEY:
        return key
    return f"sha256:{sha256(key.encode('utf-8', 'replace')).hexdigest()}"
