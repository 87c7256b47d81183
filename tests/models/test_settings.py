"""Settings: from the environment, each with a default that works."""

from pathlib import Path

import pytest

from models.settings import Automation, Settings, WrongSettings, variable

POSTGRES = "postgresql+asyncpg://crm:secret@db.example/crm"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set."""
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_without_any_it_runs_on_this_machine() -> None:
    settings = Settings.of_environment()

    assert settings.is_sqlite
    assert settings.database == f"sqlite+aiosqlite:///{Path('.cuebook').resolve()}/cuebook.db"
    assert settings.listen_url == settings.database
    assert settings.temporal == "127.0.0.1:7233"
    assert settings.url == "http://127.0.0.1:8000"
    assert settings.automation is Automation.RUNNING


def test_each_is_a_variable_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUEBOOK_API_PORT", "9000")
    monkeypatch.setenv("CUEBOOK_AUTOMATION", "paused")
    monkeypatch.setenv("CUEBOOK_LOG_JSON", "true")

    settings = Settings.of_environment()

    assert settings.api_port == 9000
    assert settings.automation is Automation.PAUSED
    assert settings.log_json
    assert variable("api_port") == "CUEBOOK_API_PORT"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUEBOOK_DATABASE_URL", "")
    monkeypatch.setenv("CUEBOOK_TEMPORAL_ADDRESS", "")

    settings = Settings.of_environment()

    assert settings.is_sqlite
    assert settings.temporal == "127.0.0.1:7233"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CUEBOOK_AUTOMATION", "resting"),
        ("CUEBOOK_API_PORT", "high"),
        ("CUEBOOK_TEMPORAL_RETENTION_DAYS", "0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(WrongSettings, match=f"^{name}: "):
        Settings.of_environment()


def test_the_folder_holds_the_database(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).database == f"sqlite+aiosqlite:///{tmp_path}/cuebook.db"


def test_a_database_of_ones_own_is_listened_to_directly_unless_said_otherwise() -> None:
    settings = Settings.model_validate({"database_url": POSTGRES})
    pooled = Settings.model_validate(
        {"database_url": POSTGRES, "listen_database_url": f"{POSTGRES}_direct"}
    )

    assert not settings.is_sqlite
    assert settings.listen_url == settings.database == POSTGRES
    assert pooled.listen_url == f"{POSTGRES}_direct"


def test_passwords_do_not_show() -> None:
    settings = Settings.model_validate({"database_url": POSTGRES, "listen_database_url": POSTGRES})

    assert "secret" not in repr(settings)


def test_addresses_that_are_given_count() -> None:
    settings = Settings(
        temporal_address="temporal:7233", temporal_port=9, public_url="https://crm.example/"
    )

    assert settings.temporal == "temporal:7233"
    assert settings.url == "https://crm.example"


def test_ports_stand_in_the_addresses_that_are_not_given() -> None:
    settings = Settings(temporal_port=7300, api_port=8100, api_host="0.0.0.0")  # noqa: S104

    assert settings.temporal == "127.0.0.1:7300"
    assert settings.url == "http://127.0.0.1:8100"
