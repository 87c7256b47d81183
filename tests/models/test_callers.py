"""Who gets in touch: whether they work here."""

import pytest

from models.callers import works_here
from models.database import Database
from models.user import User


@pytest.mark.parametrize(
    ("address", "works"),
    [
        ("ünal@firm.example", True),
        ("ÜNAL@firm.example", True),
        ("sam@firm.example", True),
        ("left@firm.example", False),
        ("somebody@firm.example", False),
    ],
)
async def test_colleagues_are_known_by_their_address_in_any_capitals(
    database: Database, address: str, *, works: bool
) -> None:
    async with database.transaction() as session:
        unal = User(name="Ünal", email="Ünal@firm.example")
        sam = User(name="Sam", email="Sam@firm.example")
        left = User(name="Left", email="left@firm.example", active=False)
        session.add_all([unal, sam, left, User(name="No address")])

    async with database.reading() as session:
        known = await works_here(session, address)

    assert known is works
