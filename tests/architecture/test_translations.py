"""The catalogues of translations say all that the code says, nothing else, and for certain."""

import re
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from babel.messages import Catalog

from docs.translations import (
    TEMPLATE,
    as_file,
    brought_up_to_date,
    messages,
    mistakes,
    path_of,
    template,
)
from models.languages import LANGUAGES, SOURCE, catalogue_in, translated

ROOT = Path(__file__).parents[2]
OTHERS = [language for language in LANGUAGES if language != SOURCE]
KEPT = re.compile(r"`[^`]+`|\{\{.*?\}\}|\{\w+\}|\d+")
"""What is the same in every language: codes, fields in texts, places to be filled in, numbers."""


def pairs(language: str) -> list[tuple[str, str]]:
    return [(str(each.id), str(each.string)) for each in messages(catalogue_in(language))]


def a_catalogue(*entries: tuple[str, str], fuzzy: Iterable[str] = ()) -> Catalog:
    catalogue = Catalog()
    for text, translation in entries:
        catalogue.add(text, translation, flags=["fuzzy"] if text in fuzzy else [])
    return catalogue


def test_there_is_a_catalogue_for_each_language() -> None:
    found = {path.name for path in TEMPLATE.parent.iterdir()}

    assert found == {TEMPLATE.name, *(f"{language}.po" for language in OTHERS)}


def test_the_template_is_what_make_docs_writes() -> None:
    assert TEMPLATE.read_text() == as_file(template(), "")


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_is_what_make_docs_writes(language: str) -> None:
    assert path_of(language).read_text() == brought_up_to_date(language)


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_translates_everything_and_nothing_else(language: str) -> None:
    assert mistakes(template(), catalogue_in(language)) == []


@pytest.mark.parametrize(
    ("catalogue", "mistake"),
    [
        (a_catalogue(), "missing: Copy"),
        (a_catalogue(("Copy", "Kopia"), ("Funnel", "Lejek")), "stale: Funnel"),
        (a_catalogue(("Copy", "Kopia"), fuzzy=["Copy"]), "fuzzy: Copy"),
        (a_catalogue(("Copy", "")), "empty: Copy"),
        (a_catalogue(("Copy", " ")), "empty: Copy"),
    ],
)
def test_a_mistake_in_a_catalogue_is_found(catalogue: Catalog, mistake: str) -> None:
    assert mistakes(a_catalogue(("Copy", "")), catalogue) == [mistake]


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_keeps_what_is_no_word(language: str) -> None:
    different = [
        (text, translation)
        for text, translation in pairs(language)
        if sorted(KEPT.findall(text)) != sorted(KEPT.findall(translation))
    ]

    assert different == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_form_of_its_source(language: str) -> None:
    different = [
        (text, translation)
        for text, translation in pairs(language)
        if translation != translation.strip()
        or text.endswith(".") != translation.endswith(".")
        or text.count("\n\n") != translation.count("\n\n")
        or text[0].isupper() != translation[0].isupper()
    ]

    assert different == []


WORDS = [
    ("es", "Add to exceptions", "Agregar a excepciones"),
    ("pl", "Add to exceptions", "Dodaj do wyjątków"),
    ("de", "Add to exceptions", "Zu Ausnahmen hinzufügen"),
    ("fr", "Add to exceptions", "Ajouter aux exceptions"),
    ("es", "Create repeat lead", "Crear prospecto repetido"),
    ("fr", "Create repeat lead", "Créer un prospect répété"),
    ("es", "Copy deal", "Copiar negociación"),
    ("fr", "Copy deal", "Copier la transaction"),
    ("pl", "Notify supervisor", "Powiadom przełożonego"),
    ("pl", "Complete task", "Zakończ zadanie"),
    ("fr", "Wait", "Attendre"),
    ("fr", "Generate code", "Générer du code"),
]


@pytest.mark.parametrize(("language", "text", "translation"), WORDS)
def test_actions_are_called_as_people_know_them(language: str, text: str, translation: str) -> None:
    assert translated(text, language) == translation


def test_the_installed_product_has_the_catalogues() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["setuptools"]["package-data"]["models"]

    assert [
        language
        for language in OTHERS
        if not any(fnmatch(f"translations/{language}.po", pattern) for pattern in shipped)
    ] == []
