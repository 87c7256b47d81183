"""Documents over HTTP: listed, downloaded, deleted, and opened by strangers with the link."""

from typing import Any

import httpx2
import pytest

from models.database import Database
from models.delivery import Delivery
from models.document import DOCX_TYPE, MOST_VIEWS, PDF_TYPE, Document, DocumentView, keep_view
from models.history import HistoryEntry, HistoryKind
from models.settings import Settings
from models.timeline import timeline_of
from models.user import Reach, User
from tests.factories import all_of
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.documents import a_template, made, newest_document, wanted
from tests.fixtures.docx import text_of
from tests.fixtures.runner import Runner


async def link_of(api: httpx2.AsyncClient, document: Document) -> str:
    answer = await api.post(f"/v1/documents/{document.id}/link")
    return str(SmallCompany.made(answer)["url"])


async def shown(api: httpx2.AsyncClient, document: Document) -> Any:
    return SmallCompany.made(await api.get(f"/v1/documents/{document.id}"))


async def told(database: Database) -> list[str]:
    """Return what history tells of documents."""
    lines = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.DOCUMENT)
    return [line.text for line in lines]


async def test_a_document_can_be_read_and_downloaded(
    database: Database, api: httpx2.AsyncClient
) -> None:
    document = await made(database, as_pdf=True)
    path = f"/v1/documents/{document.id}"

    read = await shown(api, document)
    docx, pdf = await api.get(f"{path}/docx"), await api.get(f"{path}/pdf")

    assert (read["state"], read["failure"], read["number_text"]) == ("ready", None, "1")
    assert (read["docx_size"], read["pdf_size"]) == (len(docx.content), len(pdf.content))
    assert text_of(docx.content) == "Offer 1 for Lathe"
    assert (docx.headers["content-type"], pdf.headers["content-type"]) == (
        DOCX_TYPE,
        PDF_TYPE,
    )
    assert docx.headers["content-disposition"] == 'attachment; filename="Offer 1.docx"'
    assert pdf.content.startswith(b"%PDF-")
    assert pdf.headers["x-content-type-options"] == "nosniff"


async def test_a_file_that_is_not_there_is_told_with_the_reason(
    database: Database, api: httpx2.AsyncClient
) -> None:
    without = await made(database)
    making = await one_in_making(database)

    no_pdf = await api.get(f"/v1/documents/{without.id}/pdf")
    not_yet = await api.get(f"/v1/documents/{making.id}/docx")

    assert [each.status_code for each in (no_pdf, not_yet)] == [404, 404]
    assert no_pdf.json()["detail"] == (
        f"There is no such file of document {without.id} «Offer». It was made without a PDF."
    )
    assert not_yet.json()["detail"].endswith("It is still being made.")


async def test_a_document_that_failed_says_why(database: Database, api: httpx2.AsyncClient) -> None:
    template = await a_template(database, b"something else")
    runner = Runner(database, Settings())
    entry = await wanted(database, template)
    await runner.do(entry.id)
    run = await runner.do(entry.id)

    [failed] = (await api.get("/v1/documents", params={"state": "failed"})).json()["items"]

    assert failed["failure"]
    assert run.outcome == f"Document «Offer». {failed['failure']}"


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"q": "off"}, 1),
        ({"q": "letter"}, 0),
        ({"state": "ready"}, 1),
        ({"state": "making"}, 0),
        ({"template_id": "4711"}, 0),
        ({"item_id": "4711"}, 0),
        ({"made_by_run_id": "4711"}, 0),
        ({"created_to": "2020-01-01T00:00:00Z"}, 0),
    ],
)
async def test_documents_can_be_looked_for(
    database: Database, api: httpx2.AsyncClient, params: dict[str, str], found: int
) -> None:
    await made(database)

    assert len((await api.get("/v1/documents", params=params)).json()["items"]) == found


async def test_agents_see_the_documents_of_their_items(
    database: Database, company: SmallCompany, sign_in: SignIn
) -> None:
    document = await made(database)
    agnes = User(name="Agnes", reach=Reach.OWN)
    await company.add(agnes)
    client = await sign_in(agnes)

    listed = await client.get("/v1/documents")
    read = [
        await client.get(f"/v1/documents/{document.id}{part}") for part in ("", "/docx", "/pdf")
    ]

    assert listed.json()["items"] == []
    assert [each.status_code for each in read] == [403, 403, 403]


async def test_the_link_opens_the_pdf_to_strangers_and_tells_when(
    database: Database, api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    document = await made(database, as_pdf=True)
    link = await link_of(api, document)

    answers = [await stranger.get(link, params={"utm_source": "mail"}) for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].headers["content-type"] == PDF_TYPE
    assert answers[0].headers["content-disposition"] == 'inline; filename="Offer 1.pdf"'
    assert answers[0].headers["cache-control"] == "private, no-store"
    read = await shown(api, document)
    assert read["views"] == 2
    assert read["viewed_at"] is not None
    assert len(await all_of(database, DocumentView)) == 2
    assert (await told(database))[1:] == ["«Offer 1» was opened through its public link."]
    async with database.reading() as session:
        rows = (await session.execute(timeline_of(document.item_id)[0])).all()
    assert [row.title for row in rows if row.kind == "document view"] == ["Offer"]


async def test_without_a_pdf_the_link_leads_to_the_docx(
    database: Database, api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    link = await link_of(api, await made(database))

    answer = await stranger.get(link)

    assert answer.headers["content-type"] == DOCX_TYPE
    assert answer.headers["content-disposition"] == 'attachment; filename="Offer 1.docx"'


async def test_whoever_only_asks_whether_it_is_there_has_not_seen_it(
    database: Database, api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    document = await made(database)

    answer = await stranger.head(await link_of(api, document))

    assert answer.status_code == 200
    assert (await shown(api, document))["views"] == 0


async def test_the_link_that_a_rule_leaves_is_the_one_that_is_asked_for(
    database: Database, api: httpx2.AsyncClient
) -> None:
    document = await made(database)
    [delivery] = await all_of(database, Delivery)
    run = (await api.get(f"/v1/runs/{delivery.run_id}")).json()

    first, second = await link_of(api, document), await link_of(api, document)

    assert first == second
    assert run["result"]["url"].partition("/v1/d/")[2] == first.partition("/v1/d/")[2]


async def test_a_link_that_was_revoked_opens_nothing_and_the_next_is_another(
    database: Database, api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    document = await made(database)
    old = await link_of(api, document)

    revoked = await api.delete(f"/v1/documents/{document.id}/link")
    after_revoking = await stranger.get(old)
    new = await link_of(api, document)
    answers = [await stranger.get(each) for each in (old, new)]

    assert (revoked.status_code, after_revoking.status_code) == (204, 404)
    assert [each.status_code for each in answers] == [404, 200]
    assert "The public link of «Offer 1» was revoked." in await told(database)


async def test_nobody_can_make_a_link(
    database: Database, api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    first, second = await made(database), await made(database)
    signature = (await link_of(api, first)).rpartition("/")[2]
    forged = [
        f"{second.id}/{signature}",
        f"4711/{signature}",
        f"{first.id}/{'A' * len(signature)}",
        f"{first.id}/{signature[:-1]}",
        f"{first.id}/é",
    ]

    answers = [await stranger.get(f"/v1/d/{each}") for each in forged]

    assert [each.status_code for each in answers] == [404] * 5
    assert {each.json()["detail"] for each in answers} == {"There is no such document."}


async def one_in_making(database: Database) -> Document:
    """Let a rule want a document that is not made yet."""
    entry = await wanted(database, await a_template(database))
    await Runner(database, Settings()).do(entry.id)
    return await newest_document(database)


async def test_a_document_that_is_still_being_made_is_not_there_for_strangers(
    database: Database, api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    link = await link_of(api, await one_in_making(database))

    assert (await stranger.get(link)).status_code == 404


async def test_in_the_recycle_bin_an_item_keeps_its_documents_to_itself(
    database: Database, api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    document = await made(database)
    link = await link_of(api, document)

    await api.delete(f"/v1/deals/{document.item_id}")
    in_the_bin = await stranger.get(link)
    await api.post(f"/v1/items/{document.item_id}/restore")
    restored = await stranger.get(link)

    assert (in_the_bin.status_code, restored.status_code) == (404, 200)


async def test_a_deleted_document_is_gone_for_everybody_and_its_number_is_not_given_again(
    database: Database, api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    document = await made(database)
    link = await link_of(api, document)
    path = f"/v1/documents/{document.id}"

    late = await api.delete(path, headers={"If-Match": '"0"'})
    deleted = await api.delete(path)
    answers = [
        await api.get(path),
        await api.get(f"{path}/docx"),
        await api.post(f"{path}/link"),
        await stranger.get(link),
    ]

    assert (late.status_code, deleted.status_code) == (412, 204)
    assert [each.status_code for each in answers] == [404, 404, 404, 404]
    [template] = (await api.get("/v1/document-templates")).json()["items"]
    assert template["last_number"] == 1


async def test_views_are_counted_but_not_kept_without_end(
    database: Database, api: httpx2.AsyncClient
) -> None:
    document = await made(database)
    async with database.transaction() as session:
        again = await session.get_one(Document, document.id)
        again.views, again.viewed_at = MOST_VIEWS, again.made_at
    async with database.transaction() as session:
        await keep_view(session, await session.get_one(Document, document.id))

    assert (await shown(api, document))["views"] == MOST_VIEWS + 1
    assert await all_of(database, DocumentView) == []
