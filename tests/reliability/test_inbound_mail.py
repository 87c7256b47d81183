"""Mail comes in over SMTP and LMTP: nothing of it is lost, whatever happens meanwhile."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from time import process_time
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import aiosmtplib
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inbound_mail import (
    MOST_AT_ONCE,
    MOST_CONNECTIONS,
    MOST_HELD,
    MOST_RECIPIENTS,
    Listener,
    taking_mail,
)
from models.database import Database
from models.exclusion import Exclusion, ExclusionKind
from models.inbound import Inbound
from models.item import Lead
from models.item_type import ItemType
from models.settings import MailProtocol, Settings
from tests.factories import a_pipeline
from tests.fixtures.hostile_mail import HOSTILE
from tests.fixtures.mail import until_true
from tests.fixtures.smtp_talk import (
    ANN,
    Talk,
    all_begin,
    all_heard,
    all_talking,
    answer_to,
    deaf,
    talking,
)


@pytest.fixture(autouse=True)
async def pipeline(database: Database) -> None:
    """There is a place for leads."""
    async with database.transaction() as session:
        a_pipeline(session, "New", item_type=ItemType.LEAD)


def settings(**rest: Any) -> Settings:
    return Settings(inbound_mail_port=0, **rest)


@pytest.fixture
async def listener(database: Database) -> AsyncIterator[Listener]:
    async with taking_mail(database, settings()) as made:
        yield made


def a_mail(number: int = 1, sender: str = ANN, body: str = "Hello") -> bytes:
    head = f"From: {sender}\r\nSubject: Roof {number}\r\nMessage-ID: <{number}@client.com>\r\n"
    return f"{head}\r\n{body}\r\n".encode()


async def mail_sent(listener: Listener, *mails: bytes, to: Sequence[str] = ("crm@f.com",)) -> Any:
    """Send mails over one connection, as mail servers do; return the answers."""
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=listener.port, use_tls=False, start_tls=False, timeout=30
    )
    async with client:
        return [(await client.sendmail(ANN, to, mail))[1] for mail in mails]


async def stored(database: Database) -> list[tuple[str, bytes | None]]:
    """Return subject and message of all that came in, in order."""
    async with database.reading() as session:
        rows = await session.execute(select(Inbound.subject, Inbound.raw).order_by(Inbound.id))
        return [(row.subject, row.raw) for row in rows]


async def leads(database: Database) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Lead)) or 0


async def test_a_mail_is_in_the_database_when_its_sender_hears_so(
    database: Database, listener: Listener
) -> None:
    [answer] = await mail_sent(listener, a_mail())

    assert "2.0.0 Made lead" in answer
    assert await stored(database) == [("Roof 1", a_mail())]


async def test_a_mail_to_many_that_comes_twice_is_stored_once(
    database: Database, listener: Listener
) -> None:
    everybody = [f"crm{number}@firm.com" for number in range(20)]

    answers = await mail_sent(listener, a_mail(), a_mail(), to=everybody)

    assert answers[0] == answers[1]
    assert len(await stored(database)) == 1
    assert await leads(database) == 1


async def test_of_whoever_is_on_the_exceptions_list_nothing_is_kept(
    database: Database, listener: Listener
) -> None:
    async with database.transaction() as session:
        session.add(Exclusion(kind=ExclusionKind.DOMAIN, value="client.com"))

    [answer] = await mail_sent(listener, a_mail())

    assert "nothing of it was kept" in answer
    assert await stored(database) == []


@pytest.mark.parametrize(
    "body",
    [
        "a line of a million bytes: " + "x" * 1_000_000,
        "..a line with a dot first\r\n.\r\n..\r\n.another",
        "a dot alone\n.\nbetween line feeds\r\n\n.\r\nand\r.\rbetween returns",
        "x" * 65_535 + "\r\n" + "x" * 65_536 + "\r\n." + "x" * 65_537,
        "\0 and \x1a and \x7f",
        "",
    ],
    ids=["a long line", "dots", "lone line feeds", "at the limit", "control", "nothing"],
)
async def test_a_mail_is_kept_byte_by_byte(
    database: Database, listener: Listener, body: str
) -> None:
    async with talking(listener.port) as talk:
        await talk.heard()
        await talk.until_data()

        answer = await talk.sent(a_mail(body=body))

    assert answer.startswith("250 2.0.0 Made lead")
    assert await stored(database) == [("Roof 1", a_mail(body=body))]


async def test_hostile_mails_are_all_taken(database: Database, listener: Listener) -> None:
    async with talking(listener.port) as talk:
        await talk.heard()

        answers = [await answer_to(talk, mail + b"\r\n") for mail in HOSTILE.values()]

    assert {answer[:10] for answer in answers} == {"250 2.0.0 "}
    assert len(await stored(database)) == len(set(HOSTILE.values()))


async def test_fifty_senders_at_once_hold_up_nobody(database: Database, listener: Listener) -> None:
    mails = [a_mail(number, sender=f"ann@client{number}.com") for number in range(50)]
    async with talking(listener.port) as slow:
        await slow.heard()
        await slow.until_data()
        slow.put(b"From: somebody who takes their time")

        answers = await asyncio.gather(*(mail_sent(listener, mail) for mail in mails))

    assert all("Made lead" in answer for [answer] in answers)
    assert await leads(database) == 50


async def test_a_mail_that_is_too_large_is_refused_before_or_after_it_is_sent(
    database: Database,
) -> None:
    small_ones = settings(largest_mail=2000)
    async with taking_mail(database, small_ones) as listener, talking(listener.port) as talk:
        await talk.heard()
        [*_, announced] = await talk.said("EHLO client.com", f"MAIL FROM:<{ANN}> SIZE=2001")
        await talk.until_data()
        sent = await talk.sent(a_mail(1, body="x" * 2000))
        lines = await answer_to(talk, a_mail(2, body="x\r\n" * 1000))

        small = await answer_to(talk, a_mail(3))

    assert [announced[:3], sent[:3], lines[:3]] == ["552"] * 3
    assert small.startswith("250 2.0.0 Made lead")
    assert [subject for subject, _ in await stored(database)] == ["Roof 3"]


@pytest.mark.parametrize(
    "end", ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r", "\r\n\0.\r\n"]
)
async def test_nothing_but_a_dot_on_a_whole_line_ends_a_mail(
    database: Database, listener: Listener, end: str
) -> None:
    another = "MAIL FROM:<eve@evil.com>\r\nRCPT TO:<crm@firm.com>\r\nDATA\r\nSubject: Evil\r\n\r\n"
    async with talking(listener.port) as talk:
        await talk.heard()
        await talk.until_data()
        talk.put(a_mail(body=end + another) + b".\r\n")

        answer = await talk.heard()
        [bye] = await talk.said("QUIT")

    assert (answer[:4], bye[:4]) == ("250 ", "221 ")
    assert [subject for subject, _ in await stored(database)] == ["Roof 1"]


async def test_whoever_does_not_wait_for_answers_gets_them_all(
    database: Database, listener: Listener
) -> None:
    head = b"MAIL FROM:<ann@client.com>\r\nRCPT TO:<crm@firm.com>\r\nDATA\r\n"
    mails = [head + a_mail(number) + b".\r\n" for number in range(2)]
    async with talking(listener.port) as talk:
        talk.put(b"HELO client.com\r\n" + b"".join(mails) + head + b".\r\nNOOP\r\nQUIT\r\n")

        heard = await all_heard([talk], times=17)

    taken = ["250", "250", "354", "250"]
    assert [each[:3] for each in heard] == ["220", "250", *taken, *taken, *taken, "250", "221", ""]
    assert await stored(database) == [
        ("Roof 0", a_mail(0)),
        ("Roof 1", a_mail(1)),
        ("E-mail from ann@client.com", b""),
    ]


async def test_a_mail_of_line_ends_costs_no_more_than_another(listener: Listener) -> None:
    usual = a_mail(1, body=("x" * 76 + "\r\n") * 50_000)
    unusual = a_mail(2, body="\r\n" * 2_000_000)
    async with talking(listener.port) as talk:
        await talk.heard()

        costs = [await cost(talk, usual), await cost(talk, unusual)]

    assert costs[1] < 6 * costs[0]


async def cost(talk: Talk, mail: bytes) -> float:
    """Return how many seconds this process has computed until a mail was taken."""
    await talk.until_data()
    before = process_time()
    talk.put(mail + b".\r\n")
    answer = await talk.heard()
    assert answer.startswith("250")
    return process_time() - before


async def test_over_lmtp_each_recipient_is_answered(database: Database) -> None:
    lmtp = settings(inbound_mail_protocol=MailProtocol.LMTP, inbound_mail_for="firm.com")
    async with taking_mail(database, lmtp) as listener, talking(listener.port) as talk:
        await talk.heard()
        [wrong] = await talk.said("EHLO client.com")
        everybody = ["crm@firm.com", "a@elsewhere.com", "sales@firm.com"]
        await talk.until_data(*everybody, greeting="LHLO")

        first = await talk.sent(a_mail())
        second = await talk.heard()
        [bye] = await talk.said("QUIT")

    assert wrong.startswith("500")
    assert first == second
    assert first.startswith("250 2.0.0 Made lead")
    assert bye.startswith("221")
    assert await leads(database) == 1


async def test_only_mail_for_the_addresses_and_domains_that_are_named_is_taken(
    database: Database,
) -> None:
    names = settings(inbound_mail_for="crm@firm.com, @shop.com,bücher.com")
    asked = [
        "<CRM@Firm.com>",
        " <a@SHOP.com> ",
        "a@bücher.com",
        "<Postmaster>",
        "<@hub:a@shop.com>",
    ]
    others = ["<b@firm.com>", "<a@shop.com.evil.com>", "<a@evil.com>", "<crm@firm.com@evil>"]
    async with taking_mail(database, names) as listener, talking(listener.port) as talk:
        await talk.heard()
        await talk.said("EHLO client.com", f"MAIL FROM:<{ANN}>")

        taken = await talk.said(*(f"RCPT TO:{each}" for each in asked))
        refused = await talk.said(*(f"RCPT TO:{each}" for each in others))

    assert [answer[:3] for answer in taken] == ["250"] * 5
    assert [answer[:3] for answer in refused] == ["550"] * 4


async def test_recipients_beyond_a_thousand_are_to_be_sent_to_later(
    database: Database, listener: Listener
) -> None:
    async with talking(listener.port) as talk:
        await talk.heard()
        await talk.said("EHLO client.com", f"MAIL FROM:<{ANN}>")

        answers = await talk.said(*(f"RCPT TO:<u{n}@f.com>" for n in range(MOST_RECIPIENTS + 1)))
        await talk.said("DATA")
        stored_once = await talk.sent(a_mail())

    assert {answer[:3] for answer in answers[:-1]} == {"250"}
    assert answers[-1].startswith("452")
    assert stored_once.startswith("250")
    assert await leads(database) == 1


async def test_a_mail_from_nobody_and_one_to_an_address_in_any_script_are_taken(
    listener: Listener,
) -> None:
    async with talking(listener.port) as talk:
        await talk.heard()
        await talk.until_data("crm@firm.com", sender="")
        bounce = await talk.sent(a_mail(1))
        await talk.until_data("büro@firma.de", sender="jürgen@müller.de")
        lead = await talk.sent(a_mail(2, sender="jürgen@müller.de"))

    assert bounce.startswith("250")
    assert lead.startswith("250 2.0.0 Made lead")


async def test_whoever_talks_nonsense_is_told_so_and_may_go_on(listener: Listener) -> None:
    async with talking(listener.port) as talk:
        await talk.heard()

        nonsense = await talk.said(
            *("DATA", "MAIL FROM:<a@b.c>", "EHLO x", "DATA", "MAIL FROM:<", "RCPT TO:<a@b.c>"),
            *("MAIL FROM:" + "<(" * 1000, "x" * 100_000, "MAIL FROM:<a@b.c> SIZE=many"),
        )
        taken = await answer_to(talk, a_mail())

    assert [answer[:1] for answer in nonsense] == [*"55255", *"5555"]
    assert taken.startswith("250 2.0.0 Made lead")


async def test_nobody_is_no_recipient_and_a_power_no_size(listener: Listener) -> None:
    async with talking(listener.port) as talk:
        await talk.heard()

        answers = await talk.said(
            *(
                "EHLO x",
                "MAIL FROM:<a@b.c> SIZE=²",
                "MAIL FROM:<>",
                "RCPT TO:<>",
                "RCPT TO:<a@b.c>",
            ),
        )

    assert [answer[:3] for answer in answers] == ["250", "501", "250", "550", "250"]


@pytest.mark.parametrize("path", ["a" * 1990 + "<", "a" + " " * 1990 + "<"])
async def test_addresses_that_are_none_are_refused_at_once(listener: Listener, path: str) -> None:
    async with talking(listener.port) as talk, asyncio.timeout(10):
        await talk.heard()

        answers = await talk.said("EHLO x", *[f"MAIL FROM:{path}"] * 300)

    assert {answer[:3] for answer in answers[1:]} == {"553"}


async def test_whoever_reads_no_answers_is_hung_up_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inbound_mail.SILENCE", timedelta(seconds=1))
    words = b"EHLO client.com\r\n" + (b"VRFY <" + b"x" * 2000 + b"\r\n") * 1000

    async with deaf(listener.port, words + b"\n" * 200_000):
        await until_true(lambda: listener.connections == 1)
        await until_true(lambda: listener.connections == 0)


async def test_whoever_says_nothing_is_told_so_and_hung_up_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inbound_mail.SILENCE", timedelta(seconds=0.1))
    async with talking(listener.port) as talk:
        heard = await all_heard([talk], times=3)

    assert [each[:3] for each in heard] == ["220", "421", ""]


async def test_more_connections_than_are_taken_are_told_to_come_again(listener: Listener) -> None:
    async with asyncio.timeout(30), all_talking(listener.port, MOST_CONNECTIONS) as talks:
        async with talking(listener.port) as one_more:
            refused = await all_heard([one_more], times=2)
        talks[0].hang_up()
        await until_true(lambda: listener.connections < MOST_CONNECTIONS)

        [taken] = await mail_sent(listener, a_mail())

    assert refused == ["421 4.3.2 Too many connections; try again", ""]
    assert "Made lead" in taken


async def test_mails_beyond_what_memory_should_hold_are_to_come_again(database: Database) -> None:
    half = b"x" * 1000 + b"\r\n"
    async with (
        taking_mail(database, settings(largest_mail=1024)) as listener,
        talking(listener.port) as one_more,
    ):
        await one_more.heard()
        async with all_talking(listener.port, MOST_HELD) as talks:
            await all_begin(talks, *[half] * MOST_HELD)
            await until_true(lambda: listener.held > MOST_HELD * len(half))

            refused = await answer_to(one_more, a_mail(body="x" * 500))

        await until_true(lambda: listener.held == 0)
        taken = await answer_to(one_more, a_mail(body="x" * 500))

    assert refused.startswith("452")
    assert taken.startswith("250 2.0.0 Made lead")


async def test_mails_whose_senders_have_hung_up_count_as_long_as_they_wait(
    database: Database,
) -> None:
    whole = [a_mail(number, body="x" * 900) for number in range(MOST_HELD)]
    async with (
        taking_mail(database, settings(largest_mail=1024)) as listener,
        talking(listener.port) as one_more,
    ):
        await one_more.heard()
        async with held_up(database):
            await left_behind(listener, *whole)

            refused = await answer_to(one_more, a_mail(9, body="x" * 500))

            held = listener.held
        await until_true(lambda: listener.held == 0)
        taken = await answer_to(one_more, a_mail(9, body="x" * 500))

    assert (refused[:3], taken[:3]) == ("452", "250")
    assert held == sum(map(len, whole))
    assert len(await stored(database)) == MOST_HELD + 1


async def left_behind(listener: Listener, *mails: bytes) -> None:
    """Send mails and hang up before the answer; none of them can be stored now."""
    others = listener.connections
    async with all_talking(listener.port, len(mails)) as talks:
        await all_begin(talks, *(mail + b".\r\n" for mail in mails))
        await until_true(lambda: listener.under_way == len(mails))
    await until_true(lambda: listener.connections == others)


async def test_more_mails_than_senders_can_wait_for_are_to_come_again(
    database: Database, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inbound_mail.MOST_WAITING", MOST_AT_ONCE)
    async with talking(listener.port) as one_more:
        await one_more.heard()
        async with held_up(database):
            await left_behind(listener, *map(a_mail, range(MOST_AT_ONCE)))

            refused = await answer_to(one_more, a_mail(9))

        await until_true(lambda: listener.under_way == 0)
        taken = await answer_to(one_more, a_mail(9))

    assert (refused[:3], taken[:3]) == ("452", "250")


@asynccontextmanager
async def held_up(database: Database) -> AsyncIterator[AsyncSession]:
    """Let nobody store a mail within the block."""
    async with database.transaction() as session:
        if not database.is_sqlite:
            await session.execute(text("LOCK TABLE inbound IN ACCESS EXCLUSIVE MODE"))
        yield session


async def test_a_mail_that_waits_too_long_for_others_is_to_come_again(
    database: Database, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inbound_mail.TURN", timedelta(seconds=0.1))
    mails = [a_mail(number) for number in range(MOST_AT_ONCE)]
    async with talking(listener.port) as talk:
        await talk.heard()
        async with held_up(database):
            others = asyncio.gather(*(mail_sent(listener, mail) for mail in mails))
            await until_true(lambda: listener.under_way == MOST_AT_ONCE)

            answer = await answer_to(talk, a_mail(9))
        await others

        again = await answer_to(talk, a_mail(9))

    assert answer.startswith("452")
    assert again.startswith("250")
    assert len(await stored(database)) == MOST_AT_ONCE + 1


async def test_a_mail_under_way_is_stored_and_answered_before_the_listener_stops(
    database: Database, listener: Listener
) -> None:
    async with all_talking(listener.port, 3) as [under_way, idle, half]:
        await half.begin(a_mail(2))
        async with held_up(database):
            await under_way.begin(a_mail(1) + b".\r\n")
            await until_true(lambda: listener.under_way == 1)

            stopping = asyncio.create_task(listener.stop())
            told = await all_heard([idle, half], times=2)
        answers = await all_heard([under_way], times=3)
        await stopping

    assert told == ["421 4.3.2 The service stops; try again"] * 2 + [""] * 2
    assert answers[0].startswith("250 2.0.0 Made lead")
    assert answers[1:] == ["421 4.3.2 The service stops; try again", ""]
    assert [subject for subject, _ in await stored(database)] == ["Roof 1"]
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection("127.0.0.1", listener.port)


async def test_a_mail_that_cannot_be_stored_in_time_is_given_up_when_the_listener_stops(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inbound_mail.STOP_PATIENCE", timedelta(seconds=0.1))
    mails = [a_mail(number) + b".\r\n" for number in range(MOST_AT_ONCE + 1)]
    async with (
        held_up(database),
        asyncio.timeout(30),
        taking_mail(database, settings()) as first,
        all_talking(first.port, len(mails)) as talks,
    ):
        await all_begin(talks, *mails)
        await until_true(lambda: first.under_way == len(mails))

        await first.stop()

        heard = await all_heard(talks)
        left = first.under_way
    async with taking_mail(database, settings()) as second:
        again = await mail_sent(second, a_mail(1))

    assert (heard, left) == ([""] * len(mails), 0)
    assert "Made lead" in again[0]
    assert [subject for subject, _ in await stored(database)] == ["Roof 1"]


async def test_a_mail_is_stored_though_its_sender_hangs_up_before_the_answer(
    database: Database, listener: Listener
) -> None:
    async with held_up(database), talking(listener.port) as talk:
        await talk.heard()
        await talk.until_data()
        talk.put(a_mail() + b".\r\n")
        await until_true(lambda: listener.under_way == 1)
        talk.hang_up()
    await until_true(lambda: listener.under_way == 0)

    [again] = await mail_sent(listener, a_mail())

    assert "Made lead" in again
    assert await leads(database) == 1


async def test_while_the_database_is_away_mails_are_to_come_again(
    database: Database, way_there: Path
) -> None:
    place = way_there.resolve()
    there = Database(reached_by(database.url, way_there))
    async with taking_mail(there, settings()) as listener, talking(listener.port) as talk:
        await talk.heard()
        way_there.unlink()
        away = await answer_to(talk, a_mail())
        way_there.symlink_to(place)

        back = await answer_to(talk, a_mail())

    await there.close()
    assert away == "451 4.3.0 It cannot be stored now; try again"
    assert back.startswith("250 2.0.0 Made lead")
    assert await leads(database) == 1


@pytest.fixture
def way_there(database: Database) -> Iterator[Path]:
    """A link to the folder in which the database is reached: without it nobody gets there."""
    parts = urlsplit(database.url)
    folder = parse_qs(parts.query)["host"][0] if parts.query else str(Path(parts.path).parent)
    with tempfile.TemporaryDirectory() as made:
        link = Path(made) / "there"
        link.symlink_to(folder)
        yield link


def reached_by(url: str, link: Path) -> str:
    folder = str(link.resolve())
    return url.replace(quote(folder), quote(str(link))).replace(folder, str(link))


async def test_without_a_place_for_leads_mails_are_to_come_again(
    database: Database, listener: Listener
) -> None:
    async with database.transaction() as session:
        await session.execute(text("UPDATE pipelines SET item_type = 'deal'"))
    async with talking(listener.port) as talk:
        await talk.heard()

        answer = await answer_to(talk, a_mail())

    assert answer == "451 4.3.0 It cannot be stored now; try again"
    assert await stored(database) == []
