"""Every setting, from the environment: `CUEBOOK_…`."""

from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url


class Automation(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"


class Uncertain(StrEnum):
    """What is done with a delivery of which nobody knows whether it has arrived."""

    SEND_AGAIN = "send again"
    HOLD = "hold"


class MailProtocol(StrEnum):
    """How mail comes in: from any mail server, or from one that delivers to us as to its own."""

    SMTP = "smtp"
    LMTP = "lmtp"


class WrongSettings(Exception):
    """Variables of the environment that mean nothing; names each, and says why, not its value."""


def _smtp(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or not _has_a_port(parts):
        raise ValueError("should be smtp://host:25, or smtps://user:password@host")
    return url


def _http(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _has_a_port(parts):
        raise ValueError("should begin with http:// or https://, and name a host")
    return url


def _has_a_port(parts: SplitResult) -> bool:
    """Tell whether the port is one, if there is any."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _networks(names: str) -> str:
    for name in filter(None, names.replace(" ", "").split(",")):
        ip_network(name)  # Its ValueError names it.
    return names


def _mailboxes(names: str) -> str:
    for name in filter(None, names.replace(" ", "").split(",")):
        _address(name if "@" in name.lstrip("@") else f"anybody@{name.lstrip('@')}")
    return names


def _address(text: str) -> str:
    try:
        validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error
    return text


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
    public_url: Annotated[str, AfterValidator(_http)] | None = Field(
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
    smtp_url: Annotated[SecretStr, AfterValidator(_smtp)] | None = Field(
        default=None,
        description="smtp://user:password@host:587, or smtps://…, through which mail is sent; "
        "without it mail is caught and can be read under /v1/deliveries. `?verify=no` trusts any "
        "certificate.",
    )
    mail_from: Annotated[str, AfterValidator(_address)] = Field(
        default="cuebook@example.com",
        description="Address that mail comes from; answers go to whoever is named as sender.",
    )
    inbound_mail_host: str = Field(
        default="127.0.0.1", description="Address that is listened on for mail that comes in."
    )
    inbound_mail_port: int = Field(default=8025, description="Port for mail that comes in.")
    inbound_mail_protocol: MailProtocol = Field(
        default=MailProtocol.SMTP, description="`smtp` or `lmtp`: what is spoken there."
    )
    inbound_mail_for: Annotated[str, AfterValidator(_mailboxes)] = Field(
        default="",
        description="Addresses and domains, parted by commas, whose mail is taken; by default all. "
        "Mail is never passed on.",
    )
    largest_mail: int = Field(
        default=25 * 2**20,
        ge=2**10,
        le=2**30,
        description="Bytes of the largest mail that is taken, over SMTP and over the API.",
    )
    message_gateway_url: Annotated[str, AfterValidator(_http)] | None = Field(
        default=None,
        description="Where messages are posted to as JSON; without it they are caught.",
    )
    message_gateway_token: SecretStr | None = Field(
        default=None, description="Bearer token that the gateway asks for."
    )
    webhooks_may_reach: Annotated[str, AfterValidator(_networks)] = Field(
        default="",
        description="Private networks that webhooks may call, parted by commas; others they "
        "never do.",
    )
    deliveries_per_second: float = Field(
        default=20, gt=0, description="How much leaves the house in a second, by all workers."
    )
    delivery_seconds: int = Field(
        default=20, ge=1, le=45, description="How long sending one delivery may take."
    )
    uncertain_emails: Uncertain = Field(
        default=Uncertain.SEND_AGAIN,
        description="What to do with mail of which nobody knows whether it has arrived, as a "
        "worker died over it: `send again`, with the same Message-ID, or `hold` for a person.",
    )
    uncertain_messages: Uncertain = Field(
        default=Uncertain.SEND_AGAIN, description="The same for messages."
    )
    uncertain_webhooks: Uncertain = Field(
        default=Uncertain.SEND_AGAIN, description="The same for webhooks; their id stays the same."
    )
    office: Path | None = Field(
        default=None,
        description="LibreOffice's `soffice`, which then makes the PDFs of documents; without it "
        "we make them ourselves.",
    )
    log_json: bool = Field(default=False, description="Logs as JSON lines.")

    def uncertain(self, kind: str) -> Uncertain:
        """Return what is done with deliveries of this kind that may have arrived or not."""
        said = {
            "email": self.uncertain_emails,
            "message": self.uncertain_messages,
            "webhook": self.uncertain_webhooks,
        }
        return said.get(kind, Uncertain.SEND_AGAIN)

    @classmethod
    def of_environment(cls) -> Self:
        """Return what the environment says; raises `WrongSettings`."""
        try:
            return cls()
        except ValidationError as error:
            lines = [
                f"{variable(str(wrong['loc'][0]))}: {wrong['msg'].removeprefix('Value error, ')}"
                for wrong in error.errors(include_input=False)
            ]
            raise WrongSettings("; ".join(lines)) from None

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
        return (self.public_url or f"http://127.0.0.1:{self.api_port}").rstrip("/")


def variable(name: str) -> str:
    """Return the environment variable of a setting: `api_port` is `CUEBOOK_API_PORT`."""
    return f"CUEBOOK_{name.upper()}"
