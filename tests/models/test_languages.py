"""The words of the product in the language of a locale."""

import pytest

from models.languages import LANGUAGES, catalogue_in, language_of, translated


@pytest.mark.parametrize(
    ("locale", "word"),
    [
        ("en", "Copy"),
        ("es", "Copia"),
        ("pl", "Kopia"),
        ("de", "Kopie"),
        ("fr", "Copie"),
        ("pl_PL", "Kopia"),
        ("de-AT", "Kopie"),
        ("FR_ca", "Copie"),
    ],
)
def test_a_word_is_told_in_the_language_of_a_locale(locale: str, word: str) -> None:
    assert translated("Copy", locale) == word


@pytest.mark.parametrize("locale", ["ja", "plx", "", "zh_Hant_TW"])
def test_a_language_that_we_do_not_have_reads_english(locale: str) -> None:
    assert translated("Copy", locale) == "Copy"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_ours_stays_as_it_is(language: str) -> None:
    assert translated("Roof for the Kellers", language) == "Roof for the Kellers"
    assert translated("", language) == ""


@pytest.mark.parametrize(
    ("locale", "language"),
    [("pl_PL", "pl"), ("es-419", "es"), ("en_GB", "en"), ("it", None), (None, None)],
)
def test_a_locale_has_a_language_or_none_of_ours(locale: str | None, language: str | None) -> None:
    assert language_of(locale) == language


@pytest.mark.parametrize("language", ["es", "pl", "de", "fr"])
def test_a_catalogue_says_which_language_it_is(language: str) -> None:
    assert str(catalogue_in(language).locale) == language
