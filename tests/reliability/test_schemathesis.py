"""Whatever is sent over HTTP: the API answers as its document says, and never with a fault.

Schemathesis makes requests from the document, right ones and wrong ones, and judges the answers.
"""

import asyncio
import os
import sys
from pathlib import Path

import httpx2
import pytest

from api.inbound import MAIL_TYPE
from docs.record import SETTINGS, Fresh
from models.api_token import ApiToken, hash_of
from models.database import Database
from models.document import DOCX_TYPE
from models.user import Role, User
from tests.fixtures.world import served

WISHED = int(os.environ.get("CUEBOOK_FUZZ_EXAMPLES", "0"))
ON_SQLITE = f"--max-examples={WISHED or 3}"
ON_POSTGRES = f"--max-examples={WISHED or 6}"
"""How many requests are made up for each operation: more for PostgreSQL, as it minds more of what
they hold, numbers that are too large, characters that it does not keep. `make fuzz` wishes for
many. The examples of the document are sent in `tests/api/test_examples.py`."""

OUT_OF_THE_WAY = 900_000_000
"""The id of who sends all this, and of their token: nothing that is made up hits it, so that
nobody demotes themselves or revokes the token in use."""

TOKEN = "cue_" + "schemathesis" * 4

HOOKS = f"""
import schemathesis

schemathesis.serializer.alias("{DOCX_TYPE}", "application/octet-stream")
schemathesis.serializer.alias("{MAIL_TYPE}", "application/octet-stream")
"""
"""How files and mails are sent: as they are."""

SETTINGS_OF_SCHEMATHESIS = """
[checks.positive_data_acceptance]
# No schema says which ids there are, which fields a company has, or which version is the present.
expected-statuses = ["2xx", "304", "404", "409", "412", "422"]

[checks.negative_data_rejection]
# Where two things are wrong, the other may be told.
expected-statuses = ["400", "401", "404", "405", "409", "412", "413", "422", "428"]

[checks.missing_required_header]
expected-statuses = ["401", "404", "422", "428"]

[[operations]]
# Other methods of these paths are those of an item or exclusion with the id «move» or «undo».
include-operation-id = ["moveItems", "undoExclusion"]
checks.unsupported_method.enabled = false
checks.allow_header_conformance.enabled = false

[[operations]]
# Conditions hold conditions; of some wrong ones Schemathesis makes no end. Ours are in
# tests/api/test_triggers.py.
include-operation-id = ["createTrigger", "updateTrigger"]
generation.mode = "positive"

[[operations]]
# It would not end by itself.
include-operation-id = "streamNotifications"
parameters = { "query.seconds" = 0 }

[[operations]]
# Those there are, are somebody else's.
include-operation-id = "markNotificationRead"
checks.positive_data_acceptance.expected-statuses = ["2xx", "403", "404", "422"]
"""


async def _somebody(database: Database) -> None:
    user = User(name="Somebody", role=Role.ADMIN)
    user.id = OUT_OF_THE_WAY
    token = ApiToken(name="Schemathesis", token_hash=hash_of(TOKEN), user=user)
    token.id = OUT_OF_THE_WAY
    async with database.transaction() as session:
        session.add(token)


async def _schemathesis(http: httpx2.AsyncClient, folder: Path, how_many: str) -> tuple[int, str]:
    """Run it against what is served; return its exit code and all it says."""
    (folder / "schemathesis.toml").write_text(SETTINGS_OF_SCHEMATHESIS)
    (folder / "hooks.py").write_text(HOOKS)
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        "--config-file=schemathesis.toml",
        "run",
        f"{http.base_url}/v1/openapi.json",
        f"--header=Authorization: Bearer {TOKEN}",
        "--phases=fuzzing",
        how_many,
        "--generation-deterministic",
        "--workers=1",
        "--no-color",
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "", "SCHEMATHESIS_HOOKS": "hooks"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return await process.wait(), said.decode()


@pytest.mark.timeout(240 + 60 * WISHED)
async def test_whatever_is_sent_is_answered_as_the_document_says(
    fresh: Fresh, tmp_path: Path
) -> None:
    async with fresh() as database:
        await _somebody(database)
        async with served(database, SETTINGS, TOKEN) as http:
            how_many = ON_SQLITE if database.is_sqlite else ON_POSTGRES
            failed, said = await _schemathesis(http, tmp_path, how_many)

            still_in = await http.get(f"/v1/users/{OUT_OF_THE_WAY}")

    assert not failed, said
    assert still_in.json()["role"] == "admin"
