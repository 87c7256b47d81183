"""Settings: all in one place, all in the README."""

import ast
import re
from pathlib import Path

import pytest

from models.settings import Settings, WrongSettings, variable

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "load_dotenv"}


def product() -> list[Path]:
    layers = ("activities", "api", "docs", "documents", "exchange", "models", "workflows")
    files = [
        *ROOT.glob("*.py"),
        *(path for layer in layers for path in (ROOT / layer).rglob("*.py")),
    ]
    return sorted(set(files) - {ROOT / "models" / "settings.py"})


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_says_what_it_is_for(name: str) -> None:
    assert Settings.model_fields[name].description


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_in_the_readme(name: str) -> None:
    assert f"| `{variable(name)}` |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", product(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_settings_read_the_environment(path: Path) -> None:
    tree = ast.parse(path.read_text())

    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}

    assert not used & ENVIRONMENT


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable("temporal_address"), "")

    assert Settings.of_environment().temporal_address is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "api_port",
            "high",
            "Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            "smtp_url",
            "mail.firm.example",
            "should be smtp://host:25, or smtps://user:password@host",
        ),
        (
            "smtp_url",
            "smtp://crm:secret@mail.firm.example:99999",
            "should be smtp://host:25, or smtps://user:password@host",
        ),
        (
            "public_url",
            "crm.firm.example",
            "should begin with http:// or https://, and name a host",
        ),
        (
            "message_gateway_url",
            "http://sms.example:high/",
            "should begin with http:// or https://, and name a host",
        ),
        ("mail_from", "nobody", "An email address must have an @-sign."),
        (
            "inbound_mail_for",
            "crm@firm.com, @no/where",
            "The part after the @-sign contains invalid",
        ),
        ("inbound_mail_protocol", "pop", "Input should be 'smtp' or 'lmtp'"),
        ("largest_mail", "0", "Input should be greater than or equal to 1024"),
        (
            "message_gateway_url",
            "ftp://sms",
            "should begin with http:// or https://, and name a host",
        ),
        (
            "webhooks_may_reach",
            "10.0.0.0/8, here",
            "'here' does not appear to be an IPv4 or IPv6 network",
        ),
    ],
)
def test_what_a_variable_cannot_mean_is_told_by_its_name(
    name: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(name), value)

    with pytest.raises(WrongSettings, match=f"^{re.escape(f'{variable(name)}: {reason}')}"):
        Settings.of_environment()
