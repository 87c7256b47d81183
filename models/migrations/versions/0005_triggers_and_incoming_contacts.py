"""Triggers, and what was considered of them; tasks of several items; incoming contacts"""

from unicodedata import normalize

from alembic import op
import phonenumbers
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB as PostgresJson

revision = "0005"
down_revision = "0004"
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
    "triggers": [
        ("stage_id", ID, False),
        ("type", TEXT, False),
        ("name", TEXT, False),
        ("settings", JSON, False),
        ("conditions", JSON, True),
        ("moves_as", JSON, True),
        ("allow_moving_back", YES_OR_NO, False),
        ("enabled", YES_OR_NO, False),
        ("position", ID, False),
        ("deleted_at", TIME, True),
        ("version", ID, False),
    ],
    "trigger_checks": [
        ("trigger_id", ID, False),
        ("item_id", ID, False),
        ("occasion", sa.Uuid(), False),
        ("what_happened", TEXT, False),
        ("outcome", ENUM, False),
        ("reason", TEXT, False),
        ("comparisons", JSON, False),
        ("cause_user_id", ID, True),
        ("cause_run_id", ID, True),
        ("stage_entry_id", ID, True),
    ],
    "inbound": [
        ("kind", ENUM, False),
        ("key", TEXT, False),
        ("outcome", ENUM, False),
        ("reason", TEXT, False),
        ("sender", TEXT, True),
        ("address", TEXT, True),
        ("subject", TEXT, False),
        ("happened_at", TIME, False),
        ("content", JSON, False),
        ("raw", BYTES, True),
        ("size", ID, True),
        ("contact_id", ID, True),
        ("company_id", ID, True),
        ("item_id", ID, True),
        ("creator_id", ID, True),
    ],
    "exclusion_claims": [
        ("exclusion_id", ID, False),
        ("run_id", ID, False),
        ("comment", TEXT, False),
    ],
}
"""New tables, in order: each column, its type, and whether it may be empty."""

POINTING_AT = {
    "cause_run_id": "rule_runs",
    "cause_trigger_id": "triggers",
    "cause_user_id": "users",
    "company_id": "companies",
    "contact_id": "contacts",
    "creator_id": "users",
    "exclusion_id": "exclusions",
    "inbound_id": "inbound",
    "item_id": "items",
    "parent_id": "stage_entries",
    "run_id": "rule_runs",
    "stage_entry_id": "stage_entries",
    "stage_id": "stages",
    "trigger_id": "triggers",
}
"""Which table a column of a new table, or a new key, points at."""

COLUMNS: list[tuple[str, str, sa.types.TypeEngine[object]]] = [
    ("history_entries", "trigger_id", ID),
    ("contact_points", "compared", TEXT),
]
"""New columns that may be empty and point at nothing."""

KEYS = [
    ("stage_entries", "cause_trigger_id"),
    ("stage_entries", "parent_id"),
    ("crm_activities", "inbound_id"),
]
"""New columns that may be empty and point at another table."""

NEW_INDEXES = [
    ("triggers", ["stage_id", "position"], False),
    ("triggers", ["type"], False),
    ("trigger_checks", ["item_id", "id"], False),
    ("trigger_checks", ["trigger_id", "id"], False),
    ("trigger_checks", ["stage_entry_id"], False),
    ("stage_entries", ["cause_trigger_id", "id"], False),
    ("history_entries", ["trigger_id", "id"], False),
    ("history_entries", ["responsible_id", "id"], False),
    ("history_entries", ["stage_id", "id"], False),
    ("history_entries", ["subject_type", "subject_id", "id"], False),
    ("inbound", ["kind", "key"], True),
    ("inbound", ["kind", "address", "id"], False),
    ("inbound", ["contact_id", "id"], False),
    ("inbound", ["company_id", "id"], False),
    ("inbound", ["item_id", "id"], False),
    ("inbound", ["creator_id", "id"], False),
    ("inbound", ["happened_at", "id"], False),
    ("crm_activities", ["inbound_id"], False),
    ("contact_points", ["kind", "compared"], False),
    ("task_items", ["item_id"], False),
    ("exclusion_claims", ["exclusion_id", "run_id"], True),
    ("exclusion_claims", ["run_id"], False),
]
"""Table, columns, and whether their values are there once only."""


PARENTS = """
    UPDATE stage_entries SET parent_id = (
        SELECT rule_runs.stage_entry_id FROM rule_runs WHERE rule_runs.id = cause_run_id
    )
    WHERE cause_run_id IS NOT NULL
"""
"""Until now only rules led from one entry to another."""

CLAIM = """
    INSERT INTO exclusion_claims (exclusion_id, run_id, comment, created_at)
    SELECT :first, made_by_run_id, coalesce(comment, ''), created_at
    FROM exclusions WHERE id = :id
"""
AGAIN = """
    INSERT INTO exclusions (kind, value, comment, creator_id, made_by_run_id, created_at, version)
    SELECT kind, :value, comment, creator_id, made_by_run_id, created_at, version
    FROM exclusions WHERE id = :id
"""

MEANINGS = [
    (
        "stage_entries",
        "cause",
        "CASE WHEN cause_run_id IS NULL THEN 'person' ELSE 'rule' END"
        " WHERE cause IN ('trigger', 'client')",
    ),
    ("crm_activities", "kind", "'message' WHERE kind = 'form'"),
    ("crm_activities", "completion", "'person' WHERE completion = 'client'"),
    ("history_entries", "kind", "'crm activity' WHERE kind IN ('e-mail', 'call', 'message')"),
    ("history_entries", "kind", "'information' WHERE kind IN ('exported', 'viewed')"),
]
"""What older code, which knows fewer words, is to read instead of the new ones."""


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
    for table, name, kind in COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=True))
    for table, name in KEYS:
        target = POINTING_AT[name]
        if op.get_context().dialect.supports_alter:
            op.add_column(table, sa.Column(name, ID, nullable=True))
            op.create_foreign_key(op.f(f"fk_{table}_{name}"), table, target, [name], ["id"])
        else:
            key = sa.ForeignKey(f"{target}.id")
            op.add_column(table, sa.Column(name, ID, key, nullable=True), inline_references=True)
    op.execute(PARENTS)
    op.drop_index("ix_contact_points_kind_value", "contact_points")
    _read_phones_again()
    _merge_listed_phones()
    _list_addresses_again()
    _fold_values()
    _let_be_empty("crm_activities", "item_id", empty=True)
    op.create_table(
        "task_items",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "item_id", name=op.f("pk_task_items")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_items_task_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_task_items_item_id")),
    )
    for table, columns, unique in NEW_INDEXES:
        op.create_index(_index(table, columns), table, columns, unique=unique)
    _check()


def downgrade() -> None:
    for table, columns, _unique in NEW_INDEXES:
        op.drop_index(_index(table, columns), table)
    op.drop_table("task_items")
    for table, name in KEYS:
        if not op.get_context().dialect.supports_alter:
            declared = f"{name} INTEGER"
            _redefine(table, f"{declared} REFERENCES {POINTING_AT[name]} (id)", declared)
        op.drop_column(table, name)
    op.create_index("ix_contact_points_kind_value", "contact_points", ["kind", "value"])
    _forget_what_has_no_item()
    for table, column, meaning in MEANINGS:
        op.execute(f"UPDATE {table} SET {column} = {meaning}")
    _let_be_empty("crm_activities", "item_id", empty=False)
    for table, name, _kind in COLUMNS:
        op.drop_column(table, name)
    for table in reversed(NEW):
        op.drop_table(table)
    _check()


def _read_phones_again() -> None:
    """Let phones be without prefixes for calls at home, as they are read from now on."""
    connection = op.get_bind()
    known = "SELECT id, value FROM contact_points WHERE kind = 'phone' AND value IS NOT NULL"
    for point_id, value in connection.execute(sa.text(known)).all():
        if (again := _stable(value)) != value:
            change = sa.text("UPDATE contact_points SET value = :value WHERE id = :id")
            connection.execute(change, {"value": again, "id": point_id})


def _merge_listed_phones() -> None:
    """Read phones on the exceptions list again too; of those that are one now, one stays.

    That is what a person has listed, else the first. The runs of others keep it on the list.
    """
    connection = op.get_bind()
    listed = """
        SELECT id, value, made_by_run_id FROM exclusions WHERE kind = 'phone'
        ORDER BY made_by_run_id IS NOT NULL, id
    """
    kept: dict[str, tuple[int, str]] = {}
    claims: set[tuple[int, int]] = set()
    for exclusion_id, value, run_id in connection.execute(sa.text(listed)).all():
        first, _ = kept.setdefault(_stable(value), (exclusion_id, value))
        if first == exclusion_id:
            continue
        if run_id is not None and (first, run_id) not in claims:
            claims.add((first, run_id))
            connection.execute(sa.text(CLAIM), {"first": first, "id": exclusion_id})
        connection.execute(sa.text("DELETE FROM exclusions WHERE id = :id"), {"id": exclusion_id})
    for again, (exclusion_id, value) in kept.items():
        if again != value:
            change = sa.text("UPDATE exclusions SET value = :value WHERE id = :id")
            connection.execute(change, {"value": again, "id": exclusion_id})


def _stable(value: str) -> str:
    try:
        while len(again := _e164(phonenumbers.parse(value))) < len(value):
            value = again
    except phonenumbers.NumberParseException:
        pass
    return value


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _list_addresses_again() -> None:
    """List known addresses that were ignored as another one, in whose domain ß was written ss.

    Domains are no longer folded. The one that stands on the list may be meant itself, and stays.
    """
    connection = op.get_bind()
    there = sa.text("SELECT value, id FROM exclusions WHERE kind = 'email'")
    listed = {value: exclusion_id for value, exclusion_id in connection.execute(there).all()}
    known = f"SELECT value FROM contact_points WHERE kind = 'email' AND {_beyond_ascii()}"
    for address in connection.execute(sa.text(known)).scalars().all():
        local, at, host = address.rpartition("@")
        before, now = (normalize("NFC", each.casefold()) for each in (address, local))
        if before in listed and (wanted := now + at + host) not in listed:
            listed[wanted] = listed[before]
            connection.execute(sa.text(AGAIN), {"value": wanted, "id": listed[before]})


def _fold_values() -> None:
    """Let values be compared without capitals; databases know those of ASCII, each in its way."""
    connection = op.get_bind()
    is_postgres = op.get_context().dialect.name == "postgresql"
    plain = 'value COLLATE "C"' if is_postgres else "value"
    op.execute(f"UPDATE contact_points SET compared = lower({plain})")
    others = f"SELECT value, id FROM contact_points WHERE {_beyond_ascii()}"
    for value, point_id in connection.execute(sa.text(others)).all():
        change = sa.text("UPDATE contact_points SET compared = :compared WHERE id = :id")
        connection.execute(change, {"compared": value.lower(), "id": point_id})


def _beyond_ascii() -> str:
    """Return the condition that a value holds more than ASCII: it has more bytes than letters."""
    if op.get_context().dialect.name == "postgresql":
        return "octet_length(value) <> char_length(value)"
    return "length(CAST(value AS BLOB)) <> length(value)"


def _forget_what_has_no_item() -> None:
    """Delete the CRM activities that are of no item, which there were not before."""
    without = "SELECT id FROM crm_activities WHERE item_id IS NULL"
    op.execute(f"DELETE FROM reminders WHERE crm_activity_id IN ({without})")
    op.execute("DELETE FROM crm_activities WHERE item_id IS NULL")


def _let_be_empty(table: str, column: str, *, empty: bool) -> None:
    """Let a column of ids be empty, or not any more."""
    if op.get_context().dialect.supports_alter:
        op.alter_column(table, column, existing_type=ID, nullable=empty)
        return
    filled = f"{column} INTEGER NOT NULL"
    able = f"{column} INTEGER"
    _redefine(table, *((filled, able) if empty else (able, filled)))


def _redefine(table: str, old: str, new: str) -> None:
    """Change how a table of SQLite is declared, and nothing of its rows, as its manual tells.

    To copy and drop the table instead would break what points at it. What must be once in the
    declaration is changed; the whole database is checked in the end.
    """
    connection = op.get_bind()
    declared = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)
    ).scalar_one()
    if declared.count(old) != 1:
        raise RuntimeError(f"{table} is declared in another way: {declared}")
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?",
        (declared.replace(old, new), table),
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")


def _check() -> None:
    """Check the whole database, as tables of SQLite may have been declared anew."""
    if not op.get_context().dialect.supports_alter:
        found = op.get_bind().exec_driver_sql("PRAGMA integrity_check").scalars().all()
        if found != ["ok"]:
            raise RuntimeError(f"The tables cannot be declared anew: {found}")


def _index(table: str, columns: list[str]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")
