"""Health: whether the database answers, and what the workers say."""

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.schemas import Read
from models.health import HealthStatus, check_health

router = APIRouter(tags=["health"])

STATUS = {
    HealthStatus.OK: HTTPStatus.OK,
    HealthStatus.DEGRADED: HTTPStatus.OK,
    HealthStatus.DOWN: HTTPStatus.SERVICE_UNAVAILABLE,
}


class WorkerRead(Read):
    worker: str
    beat_at: datetime
    temporal_error: str | None
    relay_lag: float = Field(description="Seconds that Temporal has waited to be told.")
    overdue: int = Field(description="Runs and reminders that are more than a minute late.")


class HealthRead(Read):
    status: HealthStatus
    problems: list[str]
    workers: list[WorkerRead]


@router.get("/health", responses={503: {"model": HealthRead, "description": "Database down"}})
async def read_health(request: Request, response: Response) -> HealthRead:
    """Tell how the installation is doing; needs no token, and never asks Temporal."""
    health = await check_health(request.app.state.database)
    response.status_code = STATUS[health.status]
    return HealthRead.model_validate(health)
