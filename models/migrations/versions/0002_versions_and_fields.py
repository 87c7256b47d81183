"""Versions, custom fields, products, where rows were loaded from, kept answers"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB as PostgresJson

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(PostgresJson(none_as_null=True), "postgresql")
MONEY = sa.Numeric(18, 2).with_variant(sa.BigInteger(), "sqlite")
TIME = sa.DateTime(timezone=True)
ENUM = sa.String(40)

COLUMNS = [
    ("api_tokens", "hint", sa.Text(), None),
    ("companies", "industry", sa.Text(), None),
    ("companies", "address", sa.Text(), None),
    ("companies", "founded_year", ID, None),
    ("companies", "employees", ID, None),
    ("companies", "annual_revenue", MONEY, None),
    ("companies", "external_id", sa.Text(), None),
    ("companies", "version", ID, "1"),
    ("contacts", "external_id", sa.Text(), None),
    ("contacts", "version", ID, "1"),
    ("departments", "external_id", sa.Text(), None),
    ("departments", "version", ID, "1"),
    ("exclusions", "version", ID, "1"),
    ("installation", "version", ID, "1"),
    ("items", "external_id", sa.Text(), None),
    ("pipelines", "version", ID, "1"),
    ("rule_runs", "result", JSON, None),
    ("rules", "changes", ID, "1"),
    ("stage_entries", "automation", ENUM, "run"),
    ("stages", "version", ID, "1"),
    ("tasks", "version", ID, "1"),
    ("users", "external_id", sa.Text(), None),
    ("users", "reach", ENUM, "department"),
    ("users", "version", ID, "1"),
]
"""Table, column, type, and what the rows have that are there already."""

KEYS = [
    ("companies", "parent_id", "companies"),
    ("product_rows", "product_id", "products"),
]
"""Table, column and target."""

INDEXES = [
    ("companies", ["name", "id"], False),
    ("contacts", ["last_name", "id"], False),
    ("exclusions", ["value", "id"], False),
    ("history_entries", ["author_id", "id"], False),
    ("history_entries", ["created_at", "id"], False),
    ("history_entries", ["rule_id", "id"], False),
    ("history_entries", ["run_id", "id"], False),
    ("items", ["type", "amount", "id"], False),
    ("items", ["type", "begin_date", "id"], False),
    ("items", ["type", "close_date", "id"], False),
    ("items", ["type", "created_at", "id"], False),
    ("items", ["type", "title", "id"], False),
    ("rule_runs", ["due_at", "id"], False),
    ("rule_runs", ["rule_id", "id"], False),
    ("rule_runs", ["state", "id"], False),
    ("stage_entries", ["stage_id", "id"], False),
    ("tasks", ["deadline_at", "id"], False),
    ("companies", ["external_id"], True),
    ("companies", ["parent_id"], False),
    ("contacts", ["external_id"], True),
    ("departments", ["external_id"], True),
    ("items", ["type", "external_id"], True),
    ("product_rows", ["product_id"], False),
    ("users", ["external_id"], True),
]
"""Table, columns, and whether their values are there once only."""


def upgrade() -> None:
    op.create_table(
        "field_definitions",
        sa.Column("id", ID, nullable=False),
        sa.Column("item_type", ENUM, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("kind", ENUM, nullable=False),
        sa.Column("choices", JSON, nullable=False),
        sa.Column("position", ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("version", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_definitions")),
        sa.UniqueConstraint(
            "item_type", "name", name=op.f("uq_field_definitions_item_type_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "products",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("series", sa.Text(), nullable=True),
        sa.Column("price", MONEY, nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("version", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_products_external_id"), "products", ["external_id"], unique=True)
    op.create_index(op.f("ix_products_name_id"), "products", ["name", "id"])
    op.create_table(
        "kept_answers",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", ID, nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_kept_answers_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_answers")),
        sa.UniqueConstraint("user_id", "key", name=op.f("uq_kept_answers_user_id_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_kept_answers_created_at"), "kept_answers", ["created_at"])
    for table, name, kind, present in COLUMNS:
        column = sa.Column(name, kind, nullable=present is None, server_default=present)
        op.add_column(table, column)
    for table, name, target in KEYS:
        if op.get_context().dialect.supports_alter:
            op.add_column(table, sa.Column(name, ID, nullable=True))
            op.create_foreign_key(op.f(f"fk_{table}_{name}"), table, target, [name], ["id"])
        else:
            key = sa.ForeignKey(f"{target}.id")
            op.add_column(table, sa.Column(name, ID, key, nullable=True), inline_references=True)
    for table, columns, unique in INDEXES:
        op.create_index(_index(table, columns), table, columns, unique=unique)


def downgrade() -> None:
    for table, columns, _unique in INDEXES:
        op.drop_index(_index(table, columns), table)
    for table in {table for table, *_ in [*COLUMNS, *KEYS]}:
        with op.batch_alter_table(table) as batch:
            for other, name, *_ in [*COLUMNS, *KEYS]:
                if other == table:
                    batch.drop_column(name)
    for table in ("kept_answers", "products", "field_definitions"):
        op.drop_table(table)


def _index(table: str, columns: list[str]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")
