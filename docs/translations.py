"""Write the catalogues of translations anew: what the code says now, as far as it is translated."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import cast

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from activities.registry import all_actions
from api.fields import FieldRead
from api.rule_actions import ActionRead
from api.trigger_types import TriggerTypeRead
from models.fields import Catalogue
from models.item_type import ItemType
from models.languages import LANGUAGES, SOURCE, catalogue_in, translated
from models.trigger_type import all_trigger_types

ROOT = Path(__file__).parent.parent
TRANSLATIONS = ROOT / "models" / "translations"
TEMPLATE = TRANSLATIONS / "cuebook.pot"

HEADER = """# Written by `make docs` from the code; what is in the quotes after msgstr is yours.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""

WIDTH = 100

Note = Callable[[str], None]


def write_all() -> None:
    TEMPLATE.write_text(as_file(template(), ""))
    for language in LANGUAGES:
        if language != SOURCE:
            path_of(language).write_text(brought_up_to_date(language))


def path_of(language: str) -> Path:
    return TRANSLATIONS / f"{language}.po"


def brought_up_to_date(language: str) -> str:
    """Return the file of a language with the words of today; those that are new are empty."""
    known = catalogue_in(language) if path_of(language).exists() else Catalog(language)
    catalogue = Catalog(language)
    for message in messages(template()):
        before = known.get(message.id)
        catalogue.add(
            message.id,
            before.string if before else "",
            locations=message.locations,
            flags=before.flags if before else (),
            user_comments=before.user_comments if before else (),
        )
    return as_file(catalogue, language)


def template() -> Catalog:
    """Return everything that is to be translated, with the places that say it."""
    catalogue = Catalog()
    for place, text in _said():
        catalogue.add(text, locations=[(place, cast("int", None))])
    return catalogue


def messages(catalogue: Catalog) -> list[Message]:
    """Return the messages of a catalogue, without its header."""
    return [message for message in catalogue if message.id]


def as_file(catalogue: Catalog, language: str) -> str:
    written = BytesIO()
    write_po(written, catalogue, width=WIDTH, omit_header=True, include_lineno=False)
    return HEADER.format(language=language) + written.getvalue().decode().rstrip("\n") + "\n"


def mistakes(source: Catalog, catalogue: Catalog) -> list[str]:
    """Say what a catalogue lacks, has too much, or has not translated for certain."""
    wanted, there = ({str(each.id): each for each in messages(one)} for one in (source, catalogue))
    return [
        *(f"missing: {text}" for text in wanted if text not in there),
        *(f"stale: {text}" for text in there if text not in wanted),
        *(f"fuzzy: {text}" for text, each in there.items() if each.fuzzy),
        *(f"empty: {text}" for text, each in there.items() if not str(each.string).strip()),
    ]


def _said() -> Iterator[tuple[str, str]]:
    """Yield what people are shown, each with its place; it is noted as it would be translated."""
    yield from _noted((each.code, partial(ActionRead.of, each)) for each in all_actions().values())
    yield from _noted(
        (each.code, partial(TriggerTypeRead.of, each)) for each in all_trigger_types().values()
    )
    yield from _noted(
        (f"{item_type} fields", partial(FieldRead.of, field))
        for item_type in ItemType
        for field in Catalogue.of(item_type).fields.values()
    )
    for layer in ("activities", "api", "models"):
        found = extract_from_dir(ROOT / layer, keywords={translated.__name__: None})
        for file, _, text, *_ in sorted(found, key=lambda each: each[:2]):
            yield f"{layer}/{file}", cast("str", text)


def _noted(
    shown: Iterable[tuple[str, Callable[[Callable[[str], str]], object]]],
) -> Iterator[tuple[str, str]]:
    for place, show in shown:
        said: list[str] = []

        def note(text: str, said: list[str] = said) -> str:
            said.append(text)
            return text

        show(note)
        yield from ((place, text) for text in said)


if __name__ == "__main__":
    write_all()
