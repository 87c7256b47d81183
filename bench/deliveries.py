"""How many mails leave in a second, and who waits meanwhile: `python -m bench.deliveries`.

A real SMTP server on loopback, real HTTP, a real dev server of Temporal, SQLite and PostgreSQL in
one run, everything in one process on this machine. A mail is compared with a rule that does
everything in its transaction. Compare the lines of one run, not figures of different runs.
"""

import asyncio
import os
import sys
import time
from statistics import median

import httpx2
from sqlalchemy import func, select
from temporalio.testing import WorkflowEnvironment

from bench.spine import done, each_database, posted
from models.api_token import make_token
from models.database import Database
from models.migrations import migrate
from models.rule_run import RuleRun, RunState
from models.settings import Settings
from models.user import Role, User
from tests.fixtures.mail import MailServer
from tests.fixtures.scene import Scene, still_standing
from tests.fixtures.temporal import dev_server
from tests.fixtures.world import served

ITEMS = 200
SINGLE = 10
PAUSE = 0.3
"""Seconds between the single moves while mail is sent."""
LOOK = 0.05

PLAIN = {"title": "Call", "action": "create_task", "params": {"title": "Call {{ deal.title }}"}}
MAIL = {
    "title": "Thank",
    "action": "send_email",
    "params": {"subject": "Thank you", "text": "Dear {{ contact.name }}, **thank you**."},
}


async def measure(kind: str, url: str, temporal: WorkflowEnvironment, mail: MailServer) -> None:
    database = Database(url)
    watch = Database(url)  # Looks for effects without waiting for writers.
    await migrate(database)
    admin = User(name="Bench", email="bench@firm.example", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(admin)
        token = make_token(session, admin, "bench")
    settings = Settings(rate_limit="off", **mail.settings)
    scene = Scene(database, still_standing(temporal.client), f"bench-{kind}", settings)
    async with scene.worker(), served(database, settings, token) as http:
        http.timeout = 60
        company = await Company.made(http)
        deals = await company.deals(2 * ITEMS)
        single = await company.deals(SINGLE)
        relaying = asyncio.create_task(scene.relay().run())
        plain = await _rate(watch, company, deals[:ITEMS], company.called)
        before = len(mail.arrived)
        meanwhile = asyncio.create_task(_waits(watch, company, single))
        sent = await _rate(watch, company, deals[ITEMS:], company.thanked)
        arrived = len(mail.arrived) - before
        waits = await meanwhile
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
    print(f"{kind:9} {ITEMS} tasks made: {plain:.0f}/s")
    print(f"{kind:9} {arrived} mails sent: {sent:.0f}/s, {plain / sent:.1f} tasks each")
    print(
        f"{kind:9} deals moved elsewhere meanwhile, answer → effect: "
        f"p50 {median(waits):.0f} ms, worst {max(waits):.0f} ms"
    )
    await database.close()
    await watch.close()


class Company:
    """A pipeline in which deals are to be called about, or thanked for.

    Single ones go to a stage of their own: one that has just had a crowd gives others their turn.
    """

    def __init__(self, http: httpx2.AsyncClient, contact: int, stages: list[int]) -> None:
        self.http = http
        self.contact = contact
        self.first, self.called, self.thanked, self.elsewhere = stages

    @classmethod
    async def made(cls, http: httpx2.AsyncClient) -> "Company":
        pipeline = await posted(http, "/v1/pipelines", {"name": "Bench", "item_type": "deal"})
        stages = [
            (await posted(http, "/v1/stages", {"pipeline_id": pipeline["id"], "name": name}))["id"]
            for name in ("One", "Called", "Thanked", "Elsewhere")
        ]
        for stage, rule in zip(stages[1:], (PLAIN, MAIL, PLAIN), strict=True):
            await posted(http, f"/v1/stages/{stage}/rules", rule)
        ann = {"first_name": "Ann", "emails": ["ann@client.example"]}
        return cls(http, (await posted(http, "/v1/contacts", ann))["id"], stages)

    async def deals(self, count: int) -> list[int]:
        deal = {"title": "Roof", "stage_id": self.first, "contact_id": self.contact}
        return [(await posted(self.http, "/v1/deals", deal))["id"] for _ in range(count)]


async def _rate(watch: Database, company: Company, deals: list[int], stage: int) -> float:
    """Move deals all at once; return how many a second have what the stage's rule does."""
    begun = time.perf_counter()
    await posted(company.http, "/v1/items/move", {"item_ids": deals, "stage_id": stage})
    while await _done(watch, deals) < len(deals):
        await asyncio.sleep(LOOK)
    return len(deals) / (time.perf_counter() - begun)


async def _done(watch: Database, deals: list[int]) -> int:
    """Return how many of these deals have had their rule run."""
    async with watch.reading() as session:
        ended = select(func.count()).where(
            RuleRun.item_id.in_(deals), RuleRun.state == RunState.DONE
        )
        return await session.scalar(ended) or 0


async def _waits(watch: Database, company: Company, deals: list[int]) -> list[float]:
    """Move deals one by one; return for each the milliseconds from the answer to the effect."""
    found = []
    for deal in deals:
        await asyncio.sleep(PAUSE)
        await posted(company.http, f"/v1/items/{deal}/move", {"stage_id": company.elsewhere})
        answered = time.time()
        found.append((await done(watch, deal) - answered) * 1000)
    return found


async def main() -> None:
    mail = MailServer()
    await mail.start()
    async with each_database() as databases:
        for kind, url in databases.items():
            async with dev_server() as temporal:
                await measure(kind, url, temporal, mail)
    await mail.stop()


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)  # Temporal's core may abort while the interpreter ends.
