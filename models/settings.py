"""Every setting, from the environment: `CUEBOOK_…`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url


class Automation(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"


RateLimit = Annotated[str, Field(pattern=r"^(off|[1-9][0-9]{0,8}/(second|minute|hour|day))$")]


class Settings(BaseSettings):
    """What differs from one installation to the next; each field is one environment variable."""

    model_config = SettingsConfigDict(
        env_prefix="CUEBOOK_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(
        default=Path(".cuebook"), description="Folder of the databases, logs and the admin token."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql+asyncpg://… or sqlite+aiosqlite://…; by default SQLite in `HOME`.",
    )
    listen_database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL without a pooler in between, for LISTEN; by default DATABASE_URL.",
    )
    api_host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    api_port: int = Field(default=8000, description="Port the API listens on.")
    public_url: str | None = Field(
        default=None, description="Where people reach the API; links in texts begin with it."
    )
    temporal_address: str | None = Field(
        default=None,
        description="host:port of a Temporal server; by default 127.0.0.1 and TEMPORAL_PORT.",
    )
    temporal_namespace: str = Field(default="default", description="Temporal's namespace.")
    temporal_port: int = Field(
        default=7233, description="Port of the dev server that `make run` starts."
    )
    temporal_ui_port: int = Field(default=8233, description="Port of that dev server's UI.")
    temporal_retention_days: int = Field(
        default=30, ge=1, description="How long Temporal shows finished workflows."
    )
    rate_limit: RateLimit = Field(
        default="3000/minute",
        description="Requests that a user may send, to each process of the API; or `off`.",
    )
    rate_limit_strangers: RateLimit = Field(
        default="60/minute",
        description="Requests without a valid token that an address may send; or `off`.",
    )
    trusted_proxies: str = Field(
        default="127.0.0.1",
        description="Proxies before the API, addresses or networks parted by commas: of whoever "
        "else sends it, `X-Forwarded-For` is ignored.",
    )
    automation: Automation = Field(
        default=Automation.RUNNING, description="`paused` holds every rule that comes due."
    )
    brake_deletions: int = Field(
        default=100,
        ge=1,
        description="How many items a rule may delete in an hour before it is held and "
        "administrators are told.",
    )
    log_json: bool = Field(default=False, description="Logs as JSON lines.")

    @classmethod
    def of_environment(cls) -> Self:
        return cls()

    @property
    def database(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{(self.home / 'cuebook.db').resolve()}"

    @property
    def listen_url(self) -> str:
        given = self.listen_database_url
        return self.database if given is None else given.get_secret_value()

    @property
    def is_sqlite(self) -> bool:
        return make_url(self.database).get_backend_name() == "sqlite"

    @property
    def temporal(self) -> str:
        return self.temporal_address or f"127.0.0.1:{self.temporal_port}"

    @property
    def url(self) -> str:
        return self.public_url or f"http://127.0.0.1:{self.api_port}"


def variable(name: str) -> str:
    """Return the environment variable of a setting: `api_port` is `CUEBOOK_API_PORT`."""
    return f"CUEBOOK_{name.upper()}"
