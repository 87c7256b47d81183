"""Problems explained: what the `type` of a problem leads to."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api.errors import KINDS, Kind
from api.schemas import Read
from models.errors import NotFound
from models.mistakes import unknown

router = APIRouter(prefix="/problems", tags=["problems"])

NAMED = {kind.name: kind for kind in KINDS.values()}


class KindRead(Read):
    """`meaning` says what it is and what helps."""

    type: str
    title: str
    status: int
    meaning: str


async def _named(name: str) -> Kind:
    if name not in NAMED:
        raise NotFound(unknown("type of problem", name, NAMED).capitalize())
    return NAMED[name]


NamedKind = Annotated[Kind, Depends(_named)]


@router.get("/{name}")
async def explain_problem(kind: NamedKind) -> KindRead:
    """Tell what a type of problem means; needs no token."""
    return KindRead.model_validate(kind)
