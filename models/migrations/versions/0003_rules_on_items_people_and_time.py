"""Quotes, invoices, CRM activities, the feed, working hours, runs that stay open"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB as PostgresJson

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(PostgresJson(none_as_null=True), "postgresql")
TIME = sa.DateTime(timezone=True)
ENUM = sa.String(40)
TEXT = sa.Text()
YES_OR_NO = sa.Boolean()
NO = sa.false()

COLUMNS = [
    ("installation", "days_off", JSON, "[]"),
    ("installation", "holiday_country", TEXT, None),
    ("installation", "working_hours", JSON, None),
    ("items", "converted_at", TIME, None),
    ("items", "paid_at", TIME, None),
    ("rule_runs", "began_at", TIME, None),
    ("rule_runs", "by_hand", YES_OR_NO, NO),
    ("rule_versions", "stop_on_failure", YES_OR_NO, NO),
    ("rules", "braked_at", TIME, None),
    ("rules", "released_at", TIME, None),
    ("tasks", "estimated_minutes", ID, None),
    ("tasks", "spent_minutes", ID, "0"),
    ("timeline_comments", "from_client", YES_OR_NO, NO),
    ("users", "calendar_key_hash", TEXT, None),
    ("users", "holiday_country", TEXT, None),
    ("users", "working_hours", JSON, None),
]
"""Table, column, type, and what the rows have that are there already."""

INDEXES = [
    ("users", ["calendar_key_hash"], True),
]
"""Table, columns, and whether their values are there once only."""

PARTIAL = {
    "ix_rule_runs_open_of_rule": ("rule_id", ["waiting", "delivering", "retrying", "held"]),
    "ix_rule_runs_due": ("due_at", ["waiting", "delivering", "retrying"]),
}
"""Indexes of open runs: their column, and the states there were before runs could stay open."""

OUTBOX = [
    ("agenda_version", ID, False),
    ("changed_at", TIME, False),
    ("told_version", ID, False),
    ("tell_after", TIME, True),
    ("tell_attempts", ID, False),
    ("tell_error", TEXT, True),
    ("lease_token", sa.Uuid(), True),
]

NEW: dict[str, list[tuple[str, sa.types.TypeEngine[object], bool]]] = {
    "crm_activities": [
        ("kind", ENUM, False),
        ("subject", TEXT, False),
        ("description", TEXT, True),
        ("status", ENUM, False),
        ("direction", ENUM, False),
        ("item_id", ID, False),
        ("responsible_id", ID, True),
        ("creator_id", ID, True),
        ("contact_id", ID, True),
        ("company_id", ID, True),
        ("phone", TEXT, True),
        ("place", TEXT, True),
        ("starts_at", TIME, False),
        ("ends_at", TIME, True),
        ("important", YES_OR_NO, False),
        ("colour", TEXT, True),
        ("complete_on_stage_change", YES_OR_NO, False),
        ("result", TEXT, True),
        ("completed_at", TIME, True),
        ("completed_by_id", ID, True),
        ("completion", ENUM, True),
        ("made_by_run_id", ID, True),
        ("revised_at", TIME, False),
        ("deleted_at", TIME, True),
        *OUTBOX,
        ("version", ID, False),
    ],
    "reminders": [
        ("crm_activity_id", ID, False),
        ("minutes_before", ID, False),
        ("due_at", TIME, True),
        ("attempts", ID, False),
        ("reminded_at", TIME, True),
    ],
    "feed_posts": [
        ("title", TEXT, True),
        ("text", TEXT, False),
        ("author_id", ID, True),
        ("item_id", ID, True),
        ("to_all", YES_OR_NO, False),
        ("made_by_run_id", ID, True),
        ("deleted_at", TIME, True),
        ("version", ID, False),
    ],
    "feed_comments": [
        ("feed_post_id", ID, False),
        ("text", TEXT, False),
        ("author_id", ID, False),
    ],
}
"""New tables, in order: each column, its type, and whether it may be empty."""

POINTING_AT = {
    "author_id": "users",
    "company_id": "companies",
    "completed_by_id": "users",
    "contact_id": "contacts",
    "creator_id": "users",
    "crm_activity_id": "crm_activities",
    "feed_post_id": "feed_posts",
    "item_id": "items",
    "made_by_run_id": "rule_runs",
    "responsible_id": "users",
}
"""Which table a column of a new table points at."""

NEW_INDEXES = [
    ("crm_activities", ["item_id", "id"]),
    ("crm_activities", ["responsible_id", "starts_at", "id"]),
    ("crm_activities", ["contact_id"]),
    ("crm_activities", ["company_id"]),
    ("crm_activities", ["made_by_run_id"]),
    ("crm_activities", ["starts_at", "id"]),
    ("reminders", ["crm_activity_id"]),
    ("feed_posts", ["author_id"]),
    ("feed_posts", ["item_id"]),
    ("feed_comments", ["feed_post_id", "id"]),
]


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
    for table, columns in NEW_INDEXES:
        op.create_index(_index(table, columns), table, columns)
    untold = sa.text("told_version < agenda_version")
    op.create_index(
        "ix_crm_activities_untold",
        "crm_activities",
        ["id"],
        postgresql_where=untold,
        sqlite_where=untold,
    )
    is_open = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_reminders_due",
        "reminders",
        ["due_at"],
        postgresql_where=is_open,
        sqlite_where=is_open,
    )
    op.create_table(
        "feed_post_recipients",
        sa.Column("feed_post_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["feed_post_id"], ["feed_posts.id"], name=op.f("fk_feed_post_recipients_feed_post_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_feed_post_recipients_user_id")
        ),
        sa.PrimaryKeyConstraint("feed_post_id", "user_id", name=op.f("pk_feed_post_recipients")),
    )
    op.create_index(
        op.f("ix_feed_post_recipients_user_id"), "feed_post_recipients", ["user_id"]
    )
    op.create_table(
        "rule_counters",
        sa.Column("rule_id", ID, nullable=False),
        sa.Column("last_user_id", ID, nullable=False),
        sa.Column("place", ID, nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["rules.id"], name=op.f("fk_rule_counters_rule_id")),
        sa.ForeignKeyConstraint(
            ["last_user_id"], ["users.id"], name=op.f("fk_rule_counters_last_user_id")
        ),
        sa.PrimaryKeyConstraint("rule_id", name=op.f("pk_rule_counters")),
    )
    for table, name, kind, present in COLUMNS:
        column = sa.Column(name, kind, nullable=present is None, server_default=present)
        op.add_column(table, column)
    for table, columns, unique in INDEXES:
        op.create_index(_index(table, columns), table, columns, unique=unique)
    for name, (column, states) in PARTIAL.items():
        op.drop_index(name, "rule_runs")
        _create_partial(name, column, [*states, "in progress"])
    is_done = sa.text("state = 'done'")
    op.create_index(
        "ix_rule_runs_done_of_rule",
        "rule_runs",
        ["rule_id", "finished_at"],
        postgresql_where=is_done,
        sqlite_where=is_done,
    )


def downgrade() -> None:
    op.drop_index("ix_rule_runs_done_of_rule", "rule_runs")
    for name, (column, states) in PARTIAL.items():
        op.drop_index(name, "rule_runs")
        _create_partial(name, column, states)
    for table, columns, _unique in INDEXES:
        op.drop_index(_index(table, columns), table)
    for table, name, *_ in COLUMNS:
        # Not as a batch: SQLite would copy and drop the table, at which other rows point.
        op.drop_column(table, name)
    for table in ("rule_counters", "feed_post_recipients", *reversed(NEW)):
        op.drop_table(table)


def _create_partial(name: str, column: str, states: list[str]) -> None:
    where = sa.text(f"state IN ({', '.join(repr(state) for state in states)})")
    op.create_index(name, "rule_runs", [column], postgresql_where=where, sqlite_where=where)


def _index(table: str, columns: list[str]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")
