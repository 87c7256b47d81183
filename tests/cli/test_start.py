"""`cuebook dev`, `api` and `inbound-mail` say which setting keeps them from starting."""

from pathlib import Path

import pytest

from cli import CannotStart
from models.settings import variable
from tests.fixtures.commands import cuebook

OF_NO_MACHINE = "203.0.113.1"
"""Reserved for documentation (RFC 5737)."""


@pytest.mark.parametrize("host", [OF_NO_MACHINE, "no.such.host.invalid"])
@pytest.mark.parametrize("setting", ["api_host", "inbound_mail_host"])
async def test_an_address_that_is_not_of_this_machine_is_said_with_the_settings_name(
    setting: str, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable("home"), str(tmp_path))
    monkeypatch.setenv(variable("api_port"), "0")
    monkeypatch.setenv(variable("inbound_mail_port"), "0")
    monkeypatch.setenv(variable(setting), host)

    with pytest.raises(CannotStart) as caught:
        await cuebook("dev")

    assert f"{host} is no address of this machine" in str(caught.value)
    assert f"set {variable(setting)} to another" in str(caught.value)
