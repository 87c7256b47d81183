"""`cuebook token`: made, listed and revoked on the command line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli import ADMIN_TOKEN, CannotStart
from cli import _first_time as admin_token
from models.api_token import ApiToken, find_token, revoke_token
from models.database import Database
from models.errors import NotFound
from models.settings import Settings, variable
from models.user import User
from tests.fixtures.commands import cuebook


@pytest.fixture
async def ada(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv(variable("database_url"), database_url)
    ada = User(name="Ada Winter", email="ada@example.com")
    async with database.transaction() as session:
        session.add_all([ada, User(name="Tom Berg", email="tom@example.com")])
    return ada


async def known(database: Database, token: str) -> ApiToken:
    async with database.reading() as session:
        found = await find_token(session, token)
    assert found is not None
    return found


async def test_a_token_is_made_for_a_year_if_not_said_otherwise(
    database: Database, ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    await cuebook("token", "--email", "ada@example.com", "--name", "Web shop")
    usual = await known(database, capsys.readouterr().out.strip())
    await cuebook("token", "--email", "ada@example.com", "--days", "7")
    short = await known(database, capsys.readouterr().out.strip())
    await cuebook("token", "--email", "ada@example.com", "--forever")
    endless = await known(database, capsys.readouterr().out.strip())

    now = datetime.now(UTC)
    assert (usual.user_id, usual.name) == (ada.id, "Web shop")
    assert usual.expires_at is not None
    assert usual.expires_at - now == pytest.approx(timedelta(days=365), abs=timedelta(minutes=5))
    assert short.expires_at is not None
    assert short.expires_at - now == pytest.approx(timedelta(days=7), abs=timedelta(minutes=5))
    assert endless.expires_at is None


async def test_tokens_are_listed_of_all_or_of_one(
    ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    await cuebook("token", "--email", "ada@example.com", "--name", "[shop]", "--forever")
    shop = capsys.readouterr().out.strip()
    await cuebook("token", "--email", "tom@example.com", "--name", "Phone")
    phone = capsys.readouterr().out.strip()
    in_a_year = datetime.now(UTC) + timedelta(days=365)

    await cuebook("token", "list")
    both = capsys.readouterr().out.splitlines()
    await cuebook("token", "list", "--email", "tom@example.com")
    of_tom = capsys.readouterr().out.splitlines()

    assert [line.split("  ", 1)[1] for line in both] == [
        f"Ada Winter: [shop]  …{shop[-4:]}  Valid until it is revoked.",
        f"Tom Berg: Phone  …{phone[-4:]}  Valid until {in_a_year:%Y-%m-%d}.",
    ]
    assert of_tom == both[1:]


async def test_a_token_is_revoked_by_its_id(
    database: Database, ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    await cuebook("token", "--email", "ada@example.com")
    token = capsys.readouterr().out.strip()

    await cuebook("token", "revoke", str((await known(database, token)).id))
    await cuebook("token", "list")

    assert (await known(database, token)).revoked_at is not None
    assert "This token was revoked on" in capsys.readouterr().out


async def test_a_token_that_is_not_there_is_said(ada: User) -> None:
    with pytest.raises(NotFound, match="There is no token 4711"):
        await cuebook("token", "revoke", "4711")


async def test_a_token_file_that_opens_nothing_any_more_is_replaced(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path)
    first = await admin_token(database, settings)
    same = await admin_token(database, settings)
    async with database.transaction() as session:
        token = await find_token(session, first)
        assert token is not None
        revoke_token(token)

    new = await admin_token(database, settings)

    assert same == first != new
    assert (tmp_path / ADMIN_TOKEN).read_text() == f"{new}\n"
    assert (await known(database, new)).expires_at is None


@pytest.mark.parametrize("command", [("token", "list"), ("doctor",), ("export", "backup")])
async def test_where_nothing_was_ever_started_it_is_said_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable("home"), str(tmp_path / "nowhere"))

    with pytest.raises(CannotStart, match=r"There is no folder .*nowhere: run `cuebook migrate`"):
        await cuebook(*command)

    assert list(tmp_path.iterdir()) == []
