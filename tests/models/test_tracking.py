"""Tracking: links of mails lead by us, and what follows from their being followed."""

import nh3
import pytest

from models.database import Database
from models.delivery import Delivery, DeliveryKind, Reaction, ReactionKind, find_delivery
from models.history import HistoryEntry, HistoryKind
from models.keyset import rows_after
from models.timeline import TimelineKind, timeline_of
from models.tracking import MOST_REACTIONS, links_in, react, reactions_to, tracked
from tests.factories import a_deal, a_pipeline, all_of, rules_of

URL = "https://crm.example"

HTML = nh3.clean(
    """<p title='<a href="https://no.example">'>
    <a href="https://shop.example/a?b=1&amp;c=%20#d">Shop</a>
    <a title="x > y" href='HTTP://b.example/"'>B</a> <a href="https://shop.example/a?b=1&c=%20#d">
    Again</a> <a href="mailto:ann@example.com">Ann</a> <a href="#top">Top</a> <a>None</a>
    https://text.example &lt;a href="https://escaped.example"&gt;</p>"""
)


def of(html: str, delivery_id: int = 7, key: str = "key") -> str:
    return tracked(html, links_in(html), delivery_id, key=key, url=URL)


def test_links_to_the_web_are_found_each_once_and_nothing_else() -> None:
    assert links_in(HTML) == ["https://shop.example/a?b=1&c=%20#d", 'HTTP://b.example/"']


def test_they_lead_by_us_and_the_rest_stays_as_it_is() -> None:
    html = of(HTML)

    ours = [link for link in links_in(html) if link.startswith(f"{URL}/v1/t/7/")]
    assert len(ours) == 2
    assert links_in(html) == ours
    assert html.count(ours[0]) == 2
    assert "shop.example" not in html
    assert 'href="mailto:ann@example.com"' in html
    assert html.startswith(HTML.partition("https://shop")[0])


def test_a_picture_of_one_pixel_stands_at_the_end() -> None:
    html = of("<p>Hello</p>")

    assert html.startswith('<p>Hello</p><img src="https://crm.example/v1/t/7/')
    assert html.endswith('.gif" width="1" height="1" alt="" style="border:0">')
    assert nh3.clean(html).count("<img") == 1


def test_the_same_mail_comes_out_the_same_and_no_other_does() -> None:
    assert of(HTML) == of(HTML)
    assert len({of(HTML), of(HTML, delivery_id=8), of(HTML, key="other")}) == 3


def test_links_that_a_mail_does_not_keep_are_left_alone() -> None:
    html = tracked(HTML, ["https://other.example"], 7, key="key", url=URL)

    assert links_in(html) == links_in(HTML)


# What is noted.


@pytest.fixture
async def mail(database: Database) -> Delivery:
    """A mail that a rule has sent, and that is tracked."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Won")
        rules_of(session, stage, {})
        deal, entry = await a_deal(session, stage)
        mail = Delivery(
            kind=DeliveryKind.EMAIL,
            run_id=entry.runs[0].id,
            item=deal,
            recipient="ann@example.com",
            subject="Thanks",
            content={"links": ["https://a.example", "https://b.example"]},
        )
        session.add(mail)
    return mail


async def reacted(database: Database, mail: Delivery, *urls: str | None) -> None:
    for url in urls:
        async with database.transaction() as session:
            await react(session, await find_delivery(session, mail.id), url)


async def test_history_tells_the_first_opening_and_the_first_click_of_each_link(
    database: Database, mail: Delivery
) -> None:
    a, b = "https://a.example", "https://b.example"

    await reacted(database, mail, None, None, a, a, b, None, a)

    lines = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.DELIVERY)
    assert [line.text for line in lines] == [
        "«Thanks» to ann@example.com was opened.",
        "A link in «Thanks» to ann@example.com was followed: https://a.example",
        "A link in «Thanks» to ann@example.com was followed: https://b.example",
    ]
    assert {(line.item_id, line.run_id) for line in lines} == {(mail.item_id, mail.run_id)}
    assert len(await all_of(database, Reaction)) == 7


async def test_so_does_the_timeline(database: Database, mail: Delivery) -> None:
    await reacted(database, mail, None, None, "https://a.example", "https://a.example")

    async with database.reading() as session:
        wanted, order = timeline_of(mail.item_id)
        rows = await rows_after(session, wanted, order, None, 10)

    opened, _, clicked, _ = await all_of(database, Reaction)
    shown = [row for row in rows if row.kind == TimelineKind.REACTION]
    assert [(row.title, row.state, row.text, row.at) for row in shown] == [
        ("Thanks", ReactionKind.CLICKED, "https://a.example", clicked.created_at),
        ("Thanks", ReactionKind.OPENED, None, opened.created_at),
    ]


async def test_of_very_many_reactions_only_so_many_are_kept(
    database: Database, mail: Delivery
) -> None:
    async with database.transaction() as session:
        session.add_all(
            Reaction(delivery_id=mail.id, kind=ReactionKind.OPENED) for _ in range(MOST_REACTIONS)
        )

    await reacted(database, mail, None, "https://a.example", "https://a.example")

    kept = await all_of(database, Reaction)
    assert len(kept) == MOST_REACTIONS + 1
    assert kept[-1].kind is ReactionKind.CLICKED


async def test_whoever_follows_a_link_has_opened_the_mail(
    database: Database, mail: Delivery
) -> None:
    await reacted(database, mail, "https://a.example", "https://b.example", None)

    async with database.reading() as session:
        known = await reactions_to(session, [mail.id, mail.id + 1])

    first, *_ = await all_of(database, Reaction)
    assert known == {mail.id: (first.created_at, 2)}
