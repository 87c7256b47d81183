"""Logs: what they must not hold."""

import logging
from collections.abc import Iterator
from secrets import token_hex

import pytest
import structlog

from models.logs import QUIET, WITH_STRANGERS, configure_logs
from models.settings import Settings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Let the other tests have their logs as they were."""
    loggers = [logging.getLogger(), *map(logging.getLogger, (*QUIET, *WITH_STRANGERS))]
    levels, handlers = [each.level for each in loggers], list(loggers[0].handlers)
    structured = structlog.get_config()
    yield
    structlog.configure(**structured)
    loggers[0].handlers = handlers
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)


@pytest.mark.parametrize("settings", [Settings(), Settings(log_json=True)], ids=["text", "json"])
def test_a_fault_is_logged_without_what_the_variables_held(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(settings)
    token = token_hex()

    def fault(_token: str) -> None:
        raise RuntimeError("It broke.")

    try:
        fault(token)
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("A fault")

    said = capsys.readouterr().err
    assert "It broke." in said
    assert token not in said


def test_what_strangers_say_to_the_mail_server_is_not_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(Settings())

    logging.getLogger("mail.log").warning("%r unrecognised: %s", "192.0.2.1", "ANN@CLIENT.COM")

    assert capsys.readouterr().err == ""
