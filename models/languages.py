"""The languages of the product: its own words in each of them.

English stands in the code; `models/translations/` has the others, as gettext catalogues that are
read as they are.
"""

from functools import cache
from importlib.resources import files

from babel.messages import Catalog
from babel.messages.pofile import read_po

SOURCE = "en"
LANGUAGES = (SOURCE, "es", "pl", "de", "fr")

TRANSLATIONS = files("models") / "translations"


def language_of(locale: str | None) -> str | None:
    """Return the language of a locale such as `pl_PL` or `de-AT`, if we have it."""
    language = (locale or "").replace("-", "_").partition("_")[0].lower()
    return language if language in LANGUAGES else None


def translated(text: str, locale: str) -> str:
    """Return words of ours in the language of a locale; in English where there are none."""
    language = language_of(locale) or SOURCE
    return text if language == SOURCE else _texts(language).get(text, text)


@cache
def _texts(language: str) -> dict[str, str]:
    """Return what is translated for certain, by the English text."""
    return {
        str(message.id): str(message.string)
        for message in catalogue_in(language)
        if message.id and message.string and not message.fuzzy
    }


def catalogue_in(language: str) -> Catalog:
    """Return the catalogue of a language as it is written."""
    with (TRANSLATIONS / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)
