"""Phone numbers, read however people, telephone systems and messengers write them."""

import re
from urllib.parse import unquote

import phonenumbers
from phonenumbers import (
    CountryCodeSource,
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

LONGEST_PHONE = len("+") + 15
"""Characters of a number after E.164."""

SHORT = 5
"""Digits of a number that is none of anybody outside, unless its country has numbers like it."""

URI = re.compile(
    r"(?:[^<]*<)?\s*(?:tel:(?P<tel>[^>]*)"
    r"|sips?:(?:(?P<user>[^:@>]*)[^@>]*@|(?P<bare>\+[^:>]*)|))",
    re.IGNORECASE,
)
"""Where a number stands in `tel:+4930123`, and in `"Anna" <sip:+4930123:secret@pbx.example>`."""

COUNTS = ("ext=", "phone-context=")
"""What else is said in one that belongs to the number."""

LETTER = re.compile(r"[^\W\d_]")
DIGIT = re.compile(r"\d")


class NoNumber(Exception):
    """A text is no phone number."""


def is_phone_uri(text: str) -> bool:
    """Tell whether a text says that it is a phone, as `tel:` and `sip:` do."""
    return URI.match(text) is not None


def read_number(raw: str, region: str) -> tuple[str, str | None]:
    """Return a number after E.164, and its extension; `region` (ISO 3166) is where it is written.

    The number, read again, stays what it is. Raises `NoNumber`.
    """
    try:
        number = _meant(_dialled(raw), region)
        value = _stable(_e164(number))
    except NumberParseException as error:
        raise NoNumber(str(error)) from error
    if len(value) > LONGEST_PHONE:
        raise NoNumber("there are too many digits")
    return value, number.extension


def is_internal(value: str) -> bool:
    """Tell whether a number after E.164 is too short to be that of anybody outside a house."""
    number = phonenumbers.parse(value)
    if phonenumbers.is_valid_number(number):
        return False
    digits = phonenumbers.national_significant_number(number)
    possible = phonenumbers.is_possible_number_with_reason(number)
    return possible == ValidationResult.TOO_SHORT or len(digits) <= SHORT


def _dialled(raw: str) -> str:
    """Return the number in a URI, or all that is written where it is none."""
    found = URI.match(raw)
    if found is None:
        return raw
    said = unquote(found["tel"] or found["user"] or found["bare"] or "")
    number, *further = said.split(";")
    if LETTER.search(number):
        return ""
    return ";".join([number, *(each for each in further if each.startswith(COUNTS))])


def _meant(text: str, region: str) -> PhoneNumber:
    """Return the number of a text; gateways leave out the plus before the code of a country.

    As many digits can be a number of the country. They are, if people there write it so; else not
    where they begin with its code, or would be a landline here and a mobile abroad.
    """
    here = phonenumbers.parse(text, region, keep_raw_input=True)
    first = DIGIT.search(text)
    if here.country_code_source != CountryCodeSource.FROM_DEFAULT_COUNTRY or first is None:
        return here
    written = text[first.start() :]
    known = phonenumbers.is_valid_number(here)
    if known and _digits(written).startswith(_digits(_as_at_home(here))):
        return here
    try:
        abroad = phonenumbers.parse(f"+{written}")
    except NumberParseException:
        return here
    if not phonenumbers.is_valid_number(abroad):
        return here
    with_own_code = abroad.country_code == here.country_code
    mobile = _is_mobile(abroad) and not _is_mobile(here)
    return abroad if not known or with_own_code or mobile else here


def _digits(text: str) -> str:
    return phonenumbers.normalize_digits_only(text)


def _as_at_home(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)


def _is_mobile(number: PhoneNumber) -> bool:
    return phonenumbers.number_type(number) == PhoneNumberType.MOBILE


def _stable(value: str) -> str:
    """Return a number without the prefixes for calls at home that are left in front of it."""
    while len(again := _e164(phonenumbers.parse(value))) < len(value):
        value = again
    return value


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
