"""The documentation says what is so: generated pages, links, paths, and examples that run."""

import asyncio
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli import app
from docs.generate import README, RULES, TRIGGERS, rules_page, triggers_page, with_tables
from docs.record import Fresh
from models.api_token import find_token, make_token
from models.database import Database
from models.settings import Settings, variable
from models.user import Role, administrators
from relay import TASK_QUEUE
from sample_company import load_sample_company
from tests.fixtures.database import on_one_database
from tests.fixtures.world import served
from workflows.agenda import deliveries_of

ROOT = Path(__file__).parents[2]
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
API_PAGE = ROOT / "api" / "description.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), API_PAGE, *ADRS]
EXAMPLE = {"activities/actions/set_task_priority.py", "tests/actions/test_set_task_priority.py"}
"""Files that do not exist: CONTRIBUTING tells how to write them."""

MADE = (".cuebook", ".venv", "/tmp")  # noqa: S108 - a word of the documentation
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/?)`")
LOOKS_LIKE_A_PATH = re.compile(r"/|\.(md|py|toml|yml|yaml|txt|in)$")
COMMAND = re.compile(r"(?:(?<=`)cuebook|bin/cuebook|run --rm migrate) ([a-z]+)((?: --[a-z-]+)*)")
PLACES = {path.name for path in ROOT.iterdir()}


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def examples(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text()) if kind == language]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def paths_in(page: Path) -> set[str]:
    found = {path for path in PATH.findall(prose(page)) if LOOKS_LIKE_A_PATH.search(path)}
    return {path for path in found if path.split("/")[0] in PLACES or path.endswith(".py")}


def test_rules_md_is_what_make_docs_writes() -> None:
    assert RULES.read_text() == rules_page()


def test_triggers_md_is_what_make_docs_writes() -> None:
    assert TRIGGERS.read_text() == triggers_page()


def test_the_tables_of_the_readme_are_what_make_docs_writes() -> None:
    assert README.read_text() == with_tables(README.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    inside = [urlsplit(link) for link in LINK.findall(prose(page)) if "://" not in link]
    targets = [(page.parent / link.path if link.path else page, link.fragment) for link in inside]

    assert [target for target, _ in targets if not target.exists()] == []
    assert [
        (target.name, anchor)
        for target, anchor in targets
        if anchor and anchor not in anchors(target)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page: Path) -> None:
    missing = {path for path in paths_in(page) if not (ROOT / path).exists()}

    assert {path for path in missing - EXAMPLE if not path.startswith(MADE)} == set()


def test_architecture_speaks_of_files() -> None:
    assert paths_in(ROOT / "ARCHITECTURE.md") >= {"relay.py", "models/", "workflows/stage_entry.py"}


def test_the_task_queues_are_called_as_in_the_code() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()

    assert f"`{TASK_QUEUE}`" in page
    assert f"`{deliveries_of(TASK_QUEUE)}`" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    used = COMMAND.findall(page.read_text())

    known = {name: app[name].assemble_argument_collection() for name in app if name[0] != "-"}
    assert {name for name, _ in used} <= known.keys()
    assert [
        (name, option)
        for name, options in used
        for option in options.split()
        if option not in {spelling for each in known[name] for spelling in each.names}
    ] == []


@pytest.mark.parametrize("page", ADRS, ids=lambda page: page.stem)
def test_a_decision_has_its_four_parts(page: Path) -> None:
    assert page.read_text().startswith(f"# {int(page.stem[:4])}. ")
    assert re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
        "Alternatives",
    ]


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(page.stem[:4]) for page in ADRS] == list(range(1, len(ADRS) + 1))


@on_one_database
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_session_of_the_readme_works_as_printed(
    database: Database, tmp_path: Path
) -> None:
    [session] = [text for text in examples(README, "sh") if "curl" in text and "docker" not in text]
    await load_sample_company(database)
    async with database.transaction() as transaction:
        [admin] = await administrators(transaction)
        token = make_token(transaction, admin, "the README")
    (tmp_path / ".cuebook").mkdir()
    (tmp_path / ".cuebook" / "admin-token").write_text(f"{token}\n")

    async with served(database, Settings(), token) as http:
        here = session.replace("http://127.0.0.1:8000", str(http.base_url).rstrip("/"))
        said = await _shell(here.replace("sleep 2", "true"), tmp_path)

    assert '"changed":true' in said
    assert "Copy to Installation | waiting" in said
    assert "Repeat lead after six months" in said
    assert re.search(r"/namespaces/default/workflows/deal-\d+-entry-\d+\n", said)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_session_of_the_api_page_works_as_printed(
    sqlite_company: Fresh, tmp_path: Path
) -> None:
    [session] = examples(API_PAGE, "sh")
    async with sqlite_company() as database:
        async with database.transaction() as transaction:
            [admin] = await administrators(transaction)
            token = make_token(transaction, admin, "the page")
        (tmp_path / ".cuebook").mkdir()
        (tmp_path / ".cuebook" / "admin-token").write_text(f"{token}\n")

        async with served(database, Settings(), token) as http:
            here = session.replace("http://127.0.0.1:8000", str(http.base_url).rstrip("/"))
            said = await _shell(here, tmp_path)

    assert "Roof for the Kellers" in said
    assert "Copy to Installation" in said
    assert '"changed":true' in said
    assert "Repeat lead after six months" in said
    assert re.search(r'"workflow_id":"deal-1-entry-\d+"', said)


@on_one_database
async def test_the_first_administrator_is_made_as_printed(
    database_url: str, tmp_path: Path
) -> None:
    [example] = [text for text in examples(README, "sh") if "--new-admin" in text]
    words = shlex.join(shlex.split(example.strip())[5:])
    environment = f"{variable('database_url')}={shlex.quote(database_url)} PYTHONPATH={ROOT}"

    said = await _shell(f"{environment} {sys.executable} {ROOT / 'cli.py'} {words}", tmp_path)

    async with (database := Database(database_url)).reading() as session:
        made = await find_token(session, said.strip())
        assert made is not None
        assert made.user.role is Role.ADMIN
    await database.close()


async def _shell(script: str, folder: Path) -> str:
    """Run a script as a person would; return what it prints."""

    def run() -> str:
        done = subprocess.run(  # noqa: S603 - our own documentation
            ["/bin/sh", "-eu", "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return await asyncio.to_thread(run)
