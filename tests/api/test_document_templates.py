"""Document templates over HTTP: uploaded as a file, checked, kept in versions."""

import asyncio
from hashlib import sha256
from typing import Any, Literal

import httpx2
import pytest

from documents.shape import LARGEST_TEMPLATE
from models.document import DOCX_TYPE
from models.document_template import written_number
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database
from tests.fixtures.documents import OFFER
from tests.fixtures.docx import docx_of, product_table
from tests.fixtures.mail import until_true

PATH = "/v1/document-templates"
ABOUT = {"name": "Offer", "item_type": "deal"}


async def uploaded(api: httpx2.AsyncClient, content: bytes = OFFER, **said: str) -> Any:
    return SmallCompany.made(await api.post(PATH, params=ABOUT | said, content=content))


async def test_a_template_is_uploaded_as_the_body_of_one_request(api: httpx2.AsyncClient) -> None:
    template = await uploaded(api, number_format="C-{year}-{number:04}", file_name="Offer 1.docx")

    [version] = template["versions"]
    assert (template["name"], template["item_type"]) == ("Offer", "deal")
    assert (template["number_format"], template["last_number"]) == ("C-{year}-{number:04}", 0)
    assert (version["number"], version["file_name"]) == (1, "Offer 1.docx")
    assert version["fields"] == ["document.number", "deal.title"]
    assert (version["size"], version["sha256"]) == (len(OFFER), sha256(OFFER).hexdigest())


async def test_what_a_client_takes_the_file_for_does_not_matter(api: httpx2.AsyncClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # As curl --data-binary sends.

    answer = await api.post(PATH, params=ABOUT, content=OFFER, headers=form)

    assert answer.status_code == 201


async def test_everything_that_is_wrong_with_a_file_is_named(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.custom("contract_no", "text")
    content = docx_of(
        "{{ deal.titel }} {{ deal.custom.contract_no }} {{ deal.custom.contract_nr }}",
        "{{ document.number }} of {{ document.date | date }} {{ document.nubmer }}",
        table=product_table("{{ row.name }}", "{{ row.prise }}"),
    )

    answer = await api.post(PATH, params=ABOUT, content=content)

    assert answer.status_code == 422
    problems = answer.json()["errors"]
    told = "\n".join(each["reason"] for each in problems)
    assert {each["field"] for each in problems} == {"/file"}
    assert len(problems) == 4
    assert "unknown field deal.titel, did you mean deal.title?" in told
    assert "deal.custom.contract_nr, did you mean deal.custom.contract_no?" in told
    assert "document.nubmer, did you mean document.number?" in told
    assert "row.prise, did you mean row.price?" in told


@on_one_database
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"content": b""}, "curl --data-binary"),
        ({"content": b"not a document"}, "no DOCX file"),
        ({"files": {"file": OFFER}}, "not within multipart/form-data"),
        ({"json": {"file": "offer.docx"}}, "not within application/json"),
    ],
)
async def test_what_is_no_document_is_refused_with_the_reason(
    api: httpx2.AsyncClient, sent: dict[str, Any], reason: str
) -> None:
    answer = await api.post(PATH, params=ABOUT, **sent)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/file"
    assert reason in answer.json()["errors"][0]["reason"]


async def test_a_file_may_be_larger_than_other_bodies_but_not_without_end(
    api: httpx2.AsyncClient,
) -> None:
    large = await api.post(PATH, params=ABOUT, content=b"x" * (2 * 2**20))
    larger = await api.post(PATH, params=ABOUT, content=b"x" * (LARGEST_TEMPLATE + 1))
    elsewhere = await api.post("/v1/deals", content=b" " * (2 * 2**20))

    assert [each.status_code for each in (large, larger, elsewhere)] == [422, 413, 413]


class Busy(asyncio.Semaphore):
    """Lets nobody check a file until it is released."""

    def __init__(self) -> None:
        super().__init__(0)
        self.waiting = 0

    async def acquire(self) -> Literal[True]:
        self.waiting += 1
        return await super().acquire()


async def test_others_go_on_while_a_file_is_checked(
    api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = await uploaded(api)
    busy = Busy()
    monkeypatch.setattr("documents.child_process.SLOTS", busy)
    new = asyncio.create_task(api.post(PATH, params=ABOUT, content=OFFER))
    versions = f"{PATH}/{template['id']}/versions"
    version = asyncio.create_task(api.post(versions, content=OFFER))
    await until_true(lambda: busy.waiting == 2)

    renamed = await api.patch(f"{PATH}/{template['id']}", json={"name": "Contract"})
    contact = await api.post("/v1/contacts", json={"first_name": "Ann"})

    busy.release()
    answers = await asyncio.gather(new, version)
    assert (renamed.status_code, contact.status_code) == (200, 201)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert [each["number"] for each in answers[1].json()["versions"]] == [1, 2]


async def test_what_is_wrong_with_the_query_is_told_once(api: httpx2.AsyncClient) -> None:
    answer = await api.post(PATH, params=ABOUT | {"name": ""}, content=OFFER)

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["/name"]


@on_one_database
@pytest.mark.parametrize(
    ("number_format", "reason"),
    [
        ("C-1", "it needs {number}"),
        ("{year}", "it needs {number}"),
        ("{number:x}", "braces are for"),
        ("{number}{0.__class__}", "braces are for"),
        ("{number}}", "braces are for"),
    ],
)
async def test_a_number_format_that_is_none_is_refused(
    api: httpx2.AsyncClient, number_format: str, reason: str
) -> None:
    answer = await api.post(PATH, params=ABOUT | {"number_format": number_format}, content=OFFER)

    assert answer.status_code == 422
    assert reason in answer.json()["errors"][0]["reason"]


@pytest.mark.parametrize(
    ("number_format", "written"),
    [
        ("{number}", "7"),
        ("C-{year}-{number:04}", "C-2027-0007"),
        ("{number:02}/{year} {number}", "07/2027 7"),
    ],
)
def test_a_number_is_written_as_the_template_says(number_format: str, written: str) -> None:
    assert written_number(number_format, 7, 2027) == written


async def test_an_upload_that_is_repeated_with_its_key_is_done_once(
    api: httpx2.AsyncClient,
) -> None:
    key = {"Idempotency-Key": "offer-1"}

    first = await api.post(PATH, params=ABOUT, content=OFFER, headers=key)
    again = await api.post(PATH, params=ABOUT, content=OFFER, headers=key)
    other = await api.post(PATH, params=ABOUT, content=docx_of("x"), headers=key)

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.status_code == 422
    assert len((await api.get(PATH)).json()["items"]) == 1


async def test_each_new_file_is_a_version_and_all_can_be_downloaded(
    api: httpx2.AsyncClient,
) -> None:
    template = await uploaded(api)
    newer = docx_of("{{ deal.title }}")
    path = f"{PATH}/{template['id']}"

    changed = SmallCompany.made(await api.post(f"{path}/versions", content=newer))
    files = [await api.get(f"{path}/versions/{number}/docx") for number in (1, 2, 3)]

    assert [each["number"] for each in changed["versions"]] == [1, 2]
    assert changed["versions"][1]["fields"] == ["deal.title"]
    assert changed["version"] == template["version"] + 1
    assert [each.status_code for each in files] == [200, 200, 404]
    assert [each.content for each in files[:2]] == [OFFER, newer]
    assert files[0].headers["content-type"] == DOCX_TYPE
    assert files[0].headers["content-disposition"] == 'attachment; filename="Offer.docx"'
    assert files[0].headers["x-content-type-options"] == "nosniff"


async def test_a_version_is_checked_as_the_first_file_was(api: httpx2.AsyncClient) -> None:
    template = await uploaded(api)

    answer = await api.post(
        f"{PATH}/{template['id']}/versions", content=docx_of("{{ lead.title }}")
    )

    assert answer.status_code == 422
    assert "unknown field lead.title" in answer.json()["errors"][0]["reason"]


async def test_a_file_name_is_fit_for_any_system_and_says_what_it_can_in_ascii(
    api: httpx2.AsyncClient,
) -> None:
    template = await uploaded(api, name='Ü/"bung"\r\n')

    answer = await api.get(f"{PATH}/{template['id']}/versions/1/docx")

    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"_-bung.docx\"; filename*=UTF-8''%C3%9C-bung.docx"
    )


async def test_name_and_number_format_can_be_changed(api: httpx2.AsyncClient) -> None:
    template = await uploaded(api)
    path = f"{PATH}/{template['id']}"

    changed = await api.patch(path, json={"name": "Contract"})
    refused = await api.patch(path, json={"number_format": "x"})
    late = await api.patch(path, json={"name": "x"}, headers={"If-Match": '"1"'})

    assert (changed.json()["name"], changed.json()["number_format"]) == ("Contract", "{number}")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "/number_format")
    assert late.status_code == 412


async def test_templates_are_found_by_name_and_by_type(api: httpx2.AsyncClient) -> None:
    offer = await uploaded(api)
    letter = await uploaded(api, docx_of("Hello"), name="Letter", item_type="lead")

    by_name = (await api.get(PATH, params={"q": "OFF"})).json()["items"]
    by_type = (await api.get(PATH, params={"item_type": "lead"})).json()["items"]

    assert [each["id"] for each in by_name] == [offer["id"]]
    assert [each["id"] for each in by_type] == [letter["id"]]


async def test_a_deleted_template_is_gone(api: httpx2.AsyncClient) -> None:
    template = await uploaded(api)
    path = f"{PATH}/{template['id']}"

    deleted = await api.delete(path)
    answers = [await api.get(path), await api.get(f"{path}/versions/1/docx")]

    assert deleted.status_code == 204
    assert [each.status_code for each in answers] == [404, 404]
    assert (await api.get(PATH)).json()["items"] == []
