"""How many mails a second come in, and what is done with hostile ones: `python -m bench.inbound`.

Real SMTP on loopback, SQLite and PostgreSQL in one run, senders and listener in one process on this
machine. A mail is compared with a transaction that inserts one row. Compare the lines of one run,
not figures of different runs.
"""

import asyncio
import random
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator

from sqlalchemy import func, select, text

from bench.spine import each_database
from inbound_mail import taking_mail
from models.contact import Contact
from models.contact_point import email
from models.database import Database
from models.exclusion import Exclusion, ExclusionKind
from models.inbound import Inbound, as_key, digest_of
from models.item_type import ItemType
from models.mail_reading import read_mail
from models.migrations import migrate
from models.settings import Settings
from tests.factories import a_deal, a_pipeline
from tests.fixtures.hostile_mail import HOSTILE, nested
from tests.fixtures.smtp_talk import ANN, Talk, answer_to, talking

SENDERS = 4
TEXT = "Hello,\r\n\r\nhow much is a roof of tiles, and when could you come?\r\n" * 20
MOST_MUTATED = 100_000
"""Bytes of a hostile mail that is made of another; the big ones come as they are."""

MOST_DAMAGES = 20


def a_mail(number: int, sender: str) -> bytes:
    head = f"From: Ann <{sender}>\r\nSubject: Roof\r\nMessage-ID: <{number}-{sender}>\r\n"
    return f"{head}Date: Mon, 30 Aug 2027 09:30:00 +0200\r\n\r\n{TEXT}".encode()


def hostile(count: int) -> Iterator[bytes]:
    """Yield hostile mails, then others made of them, the same in each run."""
    chance = random.Random(6)  # noqa: S311 - nothing is secret here.
    bases = [*HOSTILE.values(), nested(30), a_mail(0, "ann@client.com")]
    for number in range(count):
        if number < len(HOSTILE):
            yield bases[number] + b"\r\n"
            continue
        mail = bytearray(chance.choice(bases)[:MOST_MUTATED])
        for _ in range(chance.randint(1, MOST_DAMAGES)):
            at = chance.randint(0, len(mail))
            mail[at : at + chance.randint(0, 30)] = chance.choice(bases)[: chance.randint(0, 60)]
        yield bytes(mail) + b"\r\n"


async def made(database: Database) -> None:
    """Make a place for leads, a client with a deal, and somebody who is excluded."""
    async with database.transaction() as session:
        a_pipeline(session, "New", item_type=ItemType.LEAD)
        [stage] = a_pipeline(session, "Talks")
        client = Contact(first_name="Ann", contact_points=[email("known@client.com")])
        await a_deal(session, stage, contact=client)
        session.add(Exclusion(kind=ExclusionKind.EMAIL, value="excluded@client.com"))
        await session.execute(text("CREATE TABLE bench (number INTEGER PRIMARY KEY)"))


async def rate(works: Iterable[Callable[[Talk], Awaitable[object]]], port: int) -> float:
    """Do these in as many conversations as there are senders; return how many a second."""
    waiting = iter(works)
    count = 0

    async def sender() -> None:
        nonlocal count
        async with talking(port) as talk:
            await talk.heard()
            for work in waiting:
                await work(talk)
                count += 1

    begun = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return count / (time.perf_counter() - begun)


async def measure(kind: str, url: str, mails: int, hostile_mails: int) -> None:
    database = Database(url)
    await migrate(database)
    await made(database)
    answers: Counter[str] = Counter()

    async def insert(number: int) -> None:
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO bench VALUES (:it)"), {"it": number})

    async def send(talk: Talk, mail: bytes) -> None:
        # Half of those that nobody is known to have sent come from nobody by the words of SMTP too.
        answer = await answer_to(talk, mail, sender=ANN if len(mail) % 2 else "")
        answers[answer.partition(" ")[0]] += 1

    def inserting(number: int) -> Callable[[Talk], Awaitable[object]]:
        return lambda _talk: insert(number)

    def sending(mail: bytes) -> Callable[[Talk], Awaitable[object]]:
        return lambda talk: send(talk, mail)

    async with taking_mail(database, Settings(inbound_mail_port=0)) as listener:
        empty = await rate((inserting(number) for number in range(mails)), listener.port)
        print(f"{kind:9} one row inserted: {empty:.0f}/s")
        senders = {
            "becomes a lead": [f"ann{number}@client.com" for number in range(mails)],
            "is noted for a client's deal": ["known@client.com"] * mails,
            "is excluded": ["excluded@client.com"] * mails,
        }
        for what, addresses in senders.items():
            given = [a_mail(number, address) for number, address in enumerate(addresses)]
            reached = await rate(map(sending, given), listener.port)
            costs = empty / reached
            print(f"{kind:9} a mail that {what}: {reached:.0f}/s, {costs:.1f} rows inserted")
        print(f"{kind:9} answers: {dict(answers)}")
        await _hostile(kind, database, [*hostile(hostile_mails)], sending, listener.port)
        answers.subtract({"250": 3 * mails})
        print(f"{kind:9} answers to the hostile ones: {dict(answers)}")
    await database.close()


async def _hostile(
    kind: str,
    database: Database,
    mails: list[bytes],
    sending: Callable[[bytes], Callable[[Talk], Awaitable[object]]],
    port: int,
) -> None:
    async with database.reading() as session:
        last = await session.scalar(select(func.max(Inbound.id)))
        present = set(await session.scalars(select(Inbound.key)))
    reached = await rate(map(sending, mails), port)
    async with database.reading() as session:
        rows = await session.execute(
            select(Inbound.outcome, func.count())
            .where(Inbound.id > last)
            .group_by(Inbound.outcome)
            .order_by(Inbound.outcome)
        )
        outcomes = {str(outcome): count for outcome, count in rows}
        kept = set(await session.scalars(select(Inbound.key)))
    keys = {_key(mail) for mail in mails}
    size = sum(map(len, mails)) / 2**20
    print(f"{kind:9} {len(mails)} hostile mails, {size:.0f} MB: {reached:.0f}/s")
    print(f"{kind:9} different ones: {len(keys)}, stored: {sum(outcomes.values())} {outcomes}")
    print(f"{kind:9} lost: {len(keys - kept - present)}")


def _key(raw: bytes) -> str:
    message_id = read_mail(raw).message_id
    return as_key(message_id) if message_id else digest_of(raw)


async def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=300)
    parser.add_argument("--hostile", type=int, default=1000)
    asked = parser.parse_args()
    async with each_database() as databases:
        for kind, url in databases.items():
            await measure(kind, url, asked.mails, asked.hostile)


if __name__ == "__main__":
    asyncio.run(main())
