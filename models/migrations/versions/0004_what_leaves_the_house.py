"""Deliveries and reactions to them, the key that signs links, documents, bookings"""

from secrets import token_urlsafe

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB as PostgresJson

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(PostgresJson(none_as_null=True), "postgresql")
TIME = sa.DateTime(timezone=True)
ENUM = sa.String(40)
TEXT = sa.Text()
YES_OR_NO = sa.Boolean()
BYTES = sa.LargeBinary()

NEW: dict[str, list[tuple[str, sa.types.TypeEngine[object], bool]]] = {
    "deliveries": [
        ("kind", ENUM, False),
        ("key", sa.Uuid(), False),
        ("state", ENUM, False),
        ("run_id", ID, False),
        ("item_id", ID, False),
        ("recipient", TEXT, False),
        ("subject", TEXT, False),
        ("content", JSON, False),
        ("contact_id", ID, True),
        ("company_id", ID, True),
        ("user_id", ID, True),
        ("crm_activity_id", ID, True),
        ("due_at", TIME, True),
        ("tries", ID, False),
        ("failures", ID, False),
        ("sending_at", TIME, True),
        ("uncertain_at", TIME, True),
        ("sent_at", TIME, True),
        ("caught", YES_OR_NO, False),
        ("outcome", TEXT, True),
        ("answer", TEXT, True),
        ("error", TEXT, True),
    ],
    "reactions": [
        ("delivery_id", ID, False),
        ("kind", ENUM, False),
        ("url", TEXT, True),
    ],
    "document_templates": [
        ("name", TEXT, False),
        ("item_type", ENUM, False),
        ("number_format", TEXT, False),
        ("last_number", ID, False),
        ("deleted_at", TIME, True),
        ("version", ID, False),
    ],
    "document_template_versions": [
        ("template_id", ID, False),
        ("number", ID, False),
        ("content", BYTES, False),
        ("file_name", TEXT, False),
        ("size", ID, False),
        ("sha256", TEXT, False),
        ("fields", JSON, False),
        ("creator_id", ID, True),
    ],
    "documents": [
        ("title", TEXT, False),
        ("template_id", ID, False),
        ("template_version_id", ID, False),
        ("item_id", ID, False),
        ("values", JSON, False),
        ("on_timeline", YES_OR_NO, False),
        ("delivery_id", ID, True),
        ("number", ID, True),
        ("number_text", TEXT, True),
        ("made_at", TIME, True),
        ("docx", BYTES, True),
        ("docx_size", ID, True),
        ("pdf", BYTES, True),
        ("pdf_size", ID, True),
        ("pages", ID, True),
        ("links", ID, False),
        ("link_open", YES_OR_NO, False),
        ("views", ID, False),
        ("viewed_at", TIME, True),
        ("made_by_run_id", ID, True),
        ("deleted_at", TIME, True),
        ("version", ID, False),
    ],
    "document_views": [("document_id", ID, False)],
    "resources": [
        ("name", TEXT, False),
        ("description", TEXT, True),
        ("working_hours", JSON, True),
        ("deleted_at", TIME, True),
        ("version", ID, False),
    ],
    "bookings": [
        ("item_id", ID, False),
        ("field", TEXT, False),
        ("service", TEXT, False),
        ("starts_at", TIME, False),
        ("ends_at", TIME, False),
        ("cancelled_at", TIME, True),
        ("creator_id", ID, True),
        ("source_booking_id", ID, True),
        ("made_by_run_id", ID, True),
        ("revised_at", TIME, False),
        ("version", ID, False),
    ],
    "booking_holds": [
        ("booking_id", ID, False),
        ("resource_id", ID, True),
        ("user_id", ID, True),
        ("starts_at", TIME, False),
        ("ends_at", TIME, False),
        ("active", YES_OR_NO, False),
    ],
}
"""New tables, in order: each column, its type, and whether it may be empty."""

POINTING_AT = {
    "booking_id": "bookings",
    "company_id": "companies",
    "contact_id": "contacts",
    "creator_id": "users",
    "crm_activity_id": "crm_activities",
    "delivery_id": "deliveries",
    "document_id": "documents",
    "item_id": "items",
    "made_by_run_id": "rule_runs",
    "resource_id": "resources",
    "run_id": "rule_runs",
    "source_booking_id": "bookings",
    "template_id": "document_templates",
    "template_version_id": "document_template_versions",
    "user_id": "users",
}
"""Which table a column of a new table points at."""

NEW_INDEXES = [
    ("deliveries", ["run_id"], False),
    ("deliveries", ["item_id", "id"], False),
    ("deliveries", ["state", "id"], False),
    ("deliveries", ["kind", "id"], False),
    ("deliveries", ["recipient", "id"], False),
    ("deliveries", ["contact_id"], False),
    ("deliveries", ["company_id"], False),
    ("deliveries", ["crm_activity_id"], False),
    ("deliveries", ["key"], True),
    ("reactions", ["delivery_id", "id"], False),
    ("document_templates", ["name", "id"], False),
    ("document_template_versions", ["template_id", "number"], True),
    ("documents", ["template_id", "number"], True),
    ("documents", ["item_id", "id"], False),
    ("documents", ["delivery_id"], False),
    ("documents", ["made_by_run_id"], False),
    ("document_views", ["document_id", "id"], False),
    ("resources", ["name", "id"], False),
    ("bookings", ["item_id", "field", "starts_at"], False),
    ("bookings", ["starts_at", "id"], False),
    ("bookings", ["made_by_run_id"], False),
    ("bookings", ["source_booking_id"], False),
    ("booking_holds", ["booking_id"], False),
    ("booking_holds", ["resource_id", "ends_at"], False),
    ("booking_holds", ["user_id", "ends_at"], False),
]
"""Table, columns, and whether their values are there once only."""

ONE_AT_A_TIME = """
ALTER TABLE booking_holds ADD CONSTRAINT ex_booking_holds_{0}
EXCLUDE USING gist (int8range({0}, {0}, '[]') WITH &&, tstzrange(starts_at, ends_at) WITH &&)
WHERE (active AND {0} IS NOT NULL)
"""
"""No two active holds of the same overlap; only PostgreSQL can say so."""


def upgrade() -> None:
    for table, columns in NEW.items():
        op.create_table(
            table,
            sa.Column("id", ID, nullable=False),
            *(sa.Column(name, kind, nullable=empty) for name, kind, empty in columns),
            sa.Column("created_at", TIME, nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
            *(
                sa.ForeignKeyConstraint(
                    [name], [f"{POINTING_AT[name]}.id"], name=op.f(f"fk_{table}_{name}")
                )
                for name, *_ in columns
                if name in POINTING_AT
            ),
            sqlite_autoincrement=True,
        )
    for table, columns, unique in NEW_INDEXES:
        op.create_index(_index(table, columns), table, columns, unique=unique)
    if op.get_bind().dialect.name == "postgresql":
        for held in ("resource_id", "user_id"):
            op.execute(ONE_AT_A_TIME.format(held))
    op.add_column(
        "installation", sa.Column("signing_key", TEXT, nullable=False, server_default="")
    )
    installation = sa.table("installation", sa.column("signing_key", TEXT))
    op.execute(installation.update().values(signing_key=token_urlsafe(32)))


def downgrade() -> None:
    op.drop_column("installation", "signing_key")
    for table in reversed(NEW):
        op.drop_table(table)


def _index(table: str, columns: list[str]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")
