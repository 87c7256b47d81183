"""The first tables"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB as PostgresJson

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(PostgresJson(none_as_null=True), "postgresql")

CIRCULAR = [
    ("companies", "deleted_by_run_id", "rule_runs"),
    ("companies", "made_by_run_id", "rule_runs"),
    ("departments", "head_id", "users"),
    ("contacts", "deleted_by_run_id", "rule_runs"),
    ("contacts", "made_by_run_id", "rule_runs"),
    ("exclusions", "made_by_run_id", "rule_runs"),
    ("items", "deleted_by_run_id", "rule_runs"),
    ("items", "made_by_run_id", "rule_runs"),
    ("rules", "version_id", "rule_versions"),
    ("notifications", "made_by_run_id", "rule_runs"),
    ("stage_entries", "cause_run_id", "rule_runs"),
    ("tasks", "made_by_run_id", "rule_runs"),
    ("timeline_comments", "made_by_run_id", "rule_runs"),
]
"""Table, column and target of the keys that go in circles; SQLite has them in the tables."""


def upgrade() -> None:
    op.create_table(
        "companies",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("made_by_run_id", ID, nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by_run_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["deleted_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_companies_deleted_by_run_id"),
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["made_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_companies_made_by_run_id"),
            use_alter=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "departments",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("head_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["head_id"], ["users.id"], name=op.f("fk_departments_head_id"), use_alter=True
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["departments.id"], name=op.f("fk_departments_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_departments")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("departments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_departments_parent_id"), ["parent_id"], unique=False)

    op.create_table(
        "history_entries",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("item_type", sa.String(40), nullable=True),
        sa.Column("item_id", ID, nullable=True),
        sa.Column("author_id", ID, nullable=True),
        sa.Column("rule_id", ID, nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("pipeline_id", ID, nullable=True),
        sa.Column("stage_id", ID, nullable=True),
        sa.Column("responsible_id", ID, nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history_entries")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("history_entries", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_history_entries_item_id_id"), ["item_id", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_history_entries_kind_responsible_id_id"),
            ["kind", "responsible_id", "id"],
            unique=False,
        )

    op.create_table(
        "installation",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("database_id", sa.Uuid(), nullable=False),
        sa.Column("namespace_id", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("phone_region", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "pipelines",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("item_type", sa.String(40), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipelines")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "worker_heartbeats",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("temporal_error", sa.Text(), nullable=True),
        sa.Column("relay_lag", sa.Double(), nullable=False),
        sa.Column("overdue", ID, nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_heartbeats")),
    )
    op.create_table(
        "contacts",
        sa.Column("id", ID, nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("position", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("company_id", ID, nullable=True),
        sa.Column("made_by_run_id", ID, nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by_run_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_contacts_company_id")
        ),
        sa.ForeignKeyConstraint(
            ["deleted_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_contacts_deleted_by_run_id"),
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["made_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_contacts_made_by_run_id"),
            use_alter=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contacts_company_id"), ["company_id"], unique=False)

    op.create_table(
        "stages",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", ID, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("pipeline_id", ID, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_stages_pipeline_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stages")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_stages_pipeline_id_position"), ["pipeline_id", "position"], unique=False
        )

    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("department_id", ID, nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("absent_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("absent_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["department_id"], ["departments.id"], name=op.f("fk_users_department_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_users_department_id"), ["department_id"], unique=False)

    op.create_table(
        "api_tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "exclusions",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("creator_id", ID, nullable=True),
        sa.Column("made_by_run_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_exclusions_creator_id")
        ),
        sa.ForeignKeyConstraint(
            ["made_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_exclusions_made_by_run_id"),
            use_alter=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exclusions")),
        sa.UniqueConstraint("kind", "value", name=op.f("uq_exclusions_kind_value")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("exclusions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_exclusions_made_by_run_id"), ["made_by_run_id"], unique=False
        )

    op.create_table(
        "items",
        sa.Column("id", ID, nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("version", ID, nullable=False),
        sa.Column("pipeline_id", ID, nullable=False),
        sa.Column("stage_id", ID, nullable=False),
        sa.Column("responsible_id", ID, nullable=True),
        sa.Column("creator_id", ID, nullable=True),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("company_id", ID, nullable=True),
        sa.Column(
            "amount", sa.Numeric(18, 2).with_variant(sa.BigInteger(), "sqlite"), nullable=True
        ),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("begin_date", sa.Date(), nullable=True),
        sa.Column("close_date", sa.Date(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("custom", JSON, nullable=False),
        sa.Column("source_item_id", ID, nullable=True),
        sa.Column("made_by_run_id", ID, nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by_run_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_items_company_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_items_contact_id")),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name=op.f("fk_items_creator_id")),
        sa.ForeignKeyConstraint(
            ["deleted_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_items_deleted_by_run_id"),
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["made_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_items_made_by_run_id"),
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_items_pipeline_id")
        ),
        sa.ForeignKeyConstraint(
            ["responsible_id"], ["users.id"], name=op.f("fk_items_responsible_id")
        ),
        sa.ForeignKeyConstraint(
            ["source_item_id"], ["items.id"], name=op.f("fk_items_source_item_id")
        ),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name=op.f("fk_items_stage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.create_index(
            "ix_items_bin",
            ["deleted_at"],
            unique=False,
            postgresql_where=sa.text("deleted_at IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_items_company_id"), ["company_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_items_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_items_deleted_by_run_id"), ["deleted_by_run_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_items_pipeline_id"), ["pipeline_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_items_responsible_id"), ["responsible_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_items_source_item_id"), ["source_item_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_items_stage_id"), ["stage_id"], unique=False)

    op.create_table(
        "rules",
        sa.Column("id", ID, nullable=False),
        sa.Column("stage_id", ID, nullable=False),
        sa.Column("position", ID, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version_id", ID, nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name=op.f("fk_rules_stage_id")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["rule_versions.id"], name=op.f("fk_rules_version_id"), use_alter=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rules")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("rules", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_rules_stage_id_position"), ["stage_id", "position"], unique=False
        )

    op.create_table(
        "contact_points",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("extension", sa.Text(), nullable=True),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("company_id", ID, nullable=True),
        sa.Column("item_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(CASE WHEN contact_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN company_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN item_id IS NULL THEN 0 ELSE 1 END) = 1",
            name=op.f("ck_contact_points_one_owner"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_contact_points_company_id")
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_contact_points_contact_id")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_contact_points_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_points")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("contact_points", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contact_points_company_id"), ["company_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_contact_points_contact_id"), ["contact_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_contact_points_item_id"), ["item_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_contact_points_kind_value"), ["kind", "value"], unique=False
        )

    op.create_table(
        "item_contacts",
        sa.Column("item_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_item_contacts_contact_id")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_item_contacts_item_id")),
        sa.PrimaryKeyConstraint("item_id", "contact_id", name=op.f("pk_item_contacts")),
    )
    with op.batch_alter_table("item_contacts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_item_contacts_contact_id"), ["contact_id"], unique=False
        )

    op.create_table(
        "notifications",
        sa.Column("id", ID, nullable=False),
        sa.Column("recipient_id", ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sender_id", ID, nullable=True),
        sa.Column("item_id", ID, nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("made_by_run_id", ID, nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_notifications_item_id")),
        sa.ForeignKeyConstraint(
            ["made_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_notifications_made_by_run_id"),
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["users.id"], name=op.f("fk_notifications_recipient_id")
        ),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["users.id"], name=op.f("fk_notifications_sender_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notifications_recipient_id_id"), ["recipient_id", "id"], unique=False
        )

    op.create_table(
        "product_rows",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "price", sa.Numeric(18, 2).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.Column(
            "quantity", sa.Numeric(18, 2).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_product_rows_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_rows")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("product_rows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_product_rows_item_id"), ["item_id"], unique=False)

    op.create_table(
        "rule_versions",
        sa.Column("id", ID, nullable=False),
        sa.Column("rule_id", ID, nullable=False),
        sa.Column("number", ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("params", JSON, nullable=False),
        sa.Column("timing", JSON, nullable=False),
        sa.Column("conditions", JSON, nullable=True),
        sa.Column("after_previous", sa.Boolean(), nullable=False),
        sa.Column("keep_when_item_leaves", sa.Boolean(), nullable=False),
        sa.Column("once_per_item", sa.Boolean(), nullable=False),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_rule_versions_created_by_id")
        ),
        sa.ForeignKeyConstraint(["rule_id"], ["rules.id"], name=op.f("fk_rule_versions_rule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_versions")),
        sa.UniqueConstraint("rule_id", "number", name=op.f("uq_rule_versions_rule_id_number")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "stage_entries",
        sa.Column("id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("stage_id", ID, nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.String(40), nullable=False),
        sa.Column("cause_user_id", ID, nullable=True),
        sa.Column("cause_run_id", ID, nullable=True),
        sa.Column("root_id", ID, nullable=True),
        sa.Column("depth", ID, nullable=False),
        sa.Column("agenda_version", ID, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_version", ID, nullable=False),
        sa.Column("tell_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tell_attempts", ID, nullable=False),
        sa.Column("tell_error", sa.Text(), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["cause_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_stage_entries_cause_run_id"),
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["cause_user_id"], ["users.id"], name=op.f("fk_stage_entries_cause_user_id")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_stage_entries_item_id")),
        sa.ForeignKeyConstraint(
            ["root_id"], ["stage_entries.id"], name=op.f("fk_stage_entries_root_id")
        ),
        sa.ForeignKeyConstraint(
            ["stage_id"], ["stages.id"], name=op.f("fk_stage_entries_stage_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_entries")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("stage_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stage_entries_item_id"), ["item_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_stage_entries_root_id"), ["root_id"], unique=False)
        batch_op.create_index(
            "ix_stage_entries_untold",
            ["id"],
            unique=False,
            postgresql_where=sa.text("told_version < agenda_version"),
            sqlite_where=sa.text("told_version < agenda_version"),
        )
        batch_op.create_index(
            "uq_stage_entries_present",
            ["item_id"],
            unique=True,
            postgresql_where=sa.text("left_at IS NULL"),
            sqlite_where=sa.text("left_at IS NULL"),
        )

    op.create_table(
        "tasks",
        sa.Column("id", ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("item_id", ID, nullable=True),
        sa.Column("responsible_id", ID, nullable=True),
        sa.Column("creator_id", ID, nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("priority", sa.String(40), nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("checklist", JSON, nullable=False),
        sa.Column("time_tracking", sa.Boolean(), nullable=False),
        sa.Column("result_required", sa.Boolean(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by_run_id", ID, nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name=op.f("fk_tasks_creator_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_tasks_item_id")),
        sa.ForeignKeyConstraint(
            ["made_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_tasks_made_by_run_id"),
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["responsible_id"], ["users.id"], name=op.f("fk_tasks_responsible_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tasks_item_id"), ["item_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_tasks_made_by_run_id"), ["made_by_run_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_tasks_responsible_id"), ["responsible_id"], unique=False
        )

    op.create_table(
        "timeline_comments",
        sa.Column("id", ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("author_id", ID, nullable=True),
        sa.Column("made_by_run_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["author_id"], ["users.id"], name=op.f("fk_timeline_comments_author_id")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["items.id"], name=op.f("fk_timeline_comments_item_id")
        ),
        sa.ForeignKeyConstraint(
            ["made_by_run_id"],
            ["rule_runs.id"],
            name=op.f("fk_timeline_comments_made_by_run_id"),
            use_alter=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timeline_comments")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("timeline_comments", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_timeline_comments_item_id_id"), ["item_id", "id"], unique=False
        )

    op.create_table(
        "rule_runs",
        sa.Column("id", ID, nullable=False),
        sa.Column("stage_entry_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("rule_id", ID, nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("position", ID, nullable=False),
        sa.Column("keep", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_activity", sa.Text(), nullable=False),
        sa.Column("held_because", sa.String(40), nullable=True),
        sa.Column("attempts", ID, nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("comparisons", JSON, nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_rule_runs_item_id")),
        sa.ForeignKeyConstraint(["rule_id"], ["rules.id"], name=op.f("fk_rule_runs_rule_id")),
        sa.ForeignKeyConstraint(
            ["stage_entry_id"], ["stage_entries.id"], name=op.f("fk_rule_runs_stage_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["rule_versions.id"], name=op.f("fk_rule_runs_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_runs")),
        sa.UniqueConstraint(
            "stage_entry_id", "rule_id", name=op.f("uq_rule_runs_stage_entry_id_rule_id")
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("rule_runs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_rule_runs_due",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'delivering', 'retrying')"),
            sqlite_where=sa.text("state IN ('waiting', 'delivering', 'retrying')"),
        )
        batch_op.create_index(
            batch_op.f("ix_rule_runs_item_id_rule_id"), ["item_id", "rule_id"], unique=False
        )
        batch_op.create_index(
            "ix_rule_runs_open_of_rule",
            ["rule_id"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'delivering', 'retrying', 'held')"),
            sqlite_where=sa.text("state IN ('waiting', 'delivering', 'retrying', 'held')"),
        )

    op.create_table(
        "task_people",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("part", sa.String(40), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_people_task_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_task_people_user_id")),
        sa.PrimaryKeyConstraint("task_id", "user_id", "part", name=op.f("pk_task_people")),
    )
    if op.get_context().dialect.supports_alter:
        for table, column, target in CIRCULAR:
            op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, target, [column], ["id"])


def downgrade() -> None:
    if op.get_context().dialect.supports_alter:
        for table, column, _target in CIRCULAR:
            op.drop_constraint(op.f(f"fk_{table}_{column}"), table, type_="foreignkey")
    op.drop_table("task_people")
    with op.batch_alter_table("rule_runs", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_rule_runs_open_of_rule",
            postgresql_where=sa.text("state IN ('waiting', 'delivering', 'retrying', 'held')"),
            sqlite_where=sa.text("state IN ('waiting', 'delivering', 'retrying', 'held')"),
        )
        batch_op.drop_index(batch_op.f("ix_rule_runs_item_id_rule_id"))
        batch_op.drop_index(
            "ix_rule_runs_due",
            postgresql_where=sa.text("state IN ('waiting', 'delivering', 'retrying')"),
            sqlite_where=sa.text("state IN ('waiting', 'delivering', 'retrying')"),
        )

    op.drop_table("rule_runs")
    with op.batch_alter_table("timeline_comments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_timeline_comments_item_id_id"))

    op.drop_table("timeline_comments")
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tasks_responsible_id"))
        batch_op.drop_index(batch_op.f("ix_tasks_made_by_run_id"))
        batch_op.drop_index(batch_op.f("ix_tasks_item_id"))

    op.drop_table("tasks")
    with op.batch_alter_table("stage_entries", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_stage_entries_present",
            postgresql_where=sa.text("left_at IS NULL"),
            sqlite_where=sa.text("left_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_stage_entries_untold",
            postgresql_where=sa.text("told_version < agenda_version"),
            sqlite_where=sa.text("told_version < agenda_version"),
        )
        batch_op.drop_index(batch_op.f("ix_stage_entries_root_id"))
        batch_op.drop_index(batch_op.f("ix_stage_entries_item_id"))

    op.drop_table("stage_entries")
    op.drop_table("rule_versions")
    with op.batch_alter_table("product_rows", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_product_rows_item_id"))

    op.drop_table("product_rows")
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_notifications_recipient_id_id"))

    op.drop_table("notifications")
    with op.batch_alter_table("item_contacts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_item_contacts_contact_id"))

    op.drop_table("item_contacts")
    with op.batch_alter_table("contact_points", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_points_kind_value"))
        batch_op.drop_index(batch_op.f("ix_contact_points_item_id"))
        batch_op.drop_index(batch_op.f("ix_contact_points_contact_id"))
        batch_op.drop_index(batch_op.f("ix_contact_points_company_id"))

    op.drop_table("contact_points")
    with op.batch_alter_table("rules", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rules_stage_id_position"))

    op.drop_table("rules")
    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_items_stage_id"))
        batch_op.drop_index(batch_op.f("ix_items_source_item_id"))
        batch_op.drop_index(batch_op.f("ix_items_responsible_id"))
        batch_op.drop_index(batch_op.f("ix_items_pipeline_id"))
        batch_op.drop_index(batch_op.f("ix_items_deleted_by_run_id"))
        batch_op.drop_index(batch_op.f("ix_items_contact_id"))
        batch_op.drop_index(batch_op.f("ix_items_company_id"))
        batch_op.drop_index("ix_items_bin", postgresql_where=sa.text("deleted_at IS NOT NULL"))

    op.drop_table("items")
    with op.batch_alter_table("exclusions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_exclusions_made_by_run_id"))

    op.drop_table("exclusions")
    op.drop_table("api_tokens")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_users_department_id"))

    op.drop_table("users")
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stages_pipeline_id_position"))

    op.drop_table("stages")
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contacts_company_id"))

    op.drop_table("contacts")
    op.drop_table("worker_heartbeats")
    op.drop_table("pipelines")
    op.drop_table("installation")
    with op.batch_alter_table("history_entries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_history_entries_kind_responsible_id_id"))
        batch_op.drop_index(batch_op.f("ix_history_entries_item_id_id"))

    op.drop_table("history_entries")
    with op.batch_alter_table("departments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_departments_parent_id"))

    op.drop_table("departments")
    op.drop_table("companies")
