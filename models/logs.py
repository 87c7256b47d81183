"""Logs: one line per event, for people or as JSON, the libraries' own among them."""

import logging
import sys

import structlog

from models.settings import Settings

QUIET = (*("aiosqlite", "asyncio", "alembic", "sqlalchemy", "temporalio", "uvicorn.access"),)
"""Libraries of which only warnings are of interest."""

WITH_STRANGERS = ("mail.log",)
"""Libraries of which not even these are: they repeat what anybody says to them."""


def configure_logs(settings: Settings) -> None:
    """Send our events and the libraries' records to stderr in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The richer one shows what variables hold: tokens, passwords, people.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    errors = [structlog.processors.format_exc_info] if settings.log_json else []
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *errors,
                renderer,
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in WITH_STRANGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
