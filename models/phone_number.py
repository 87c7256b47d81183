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

LEAST_ABROAD = 10
"""Digits of a number with the code of a country in front; fewer are one of the country itself."""

LEAST_MOBILE_ABROAD = 11
"""Digits of one that is a mobile there though it could be a landline here."""

URI = re.compile(
    r"(?:[^<]*<)?\s*(?:tel:(?P<tel>[^>]*)"
    r"|sips?:(?:(?P<user>[^:@>]*)[^@>]*@|(?P<bare>\+[^:>]*)|))",
    re.IGNORECASE,
)
"""Where a number stands in `tel:+4930123`, and in `"Anna" <sip:+4930123:secret@pbx.example>`."""

COUNTS = ("ext=", "phone-context=")
"""What else is said in one that belongs to the number."""

LETTER = re.compile(r"[^\W\d_]")
DIGITS = re.compile(r"\d+")


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
    if found["tel"] is None and LETTER.search(number):
        return ""
    return ";".join([number, *(each for each in further if each.startswith(COUNTS))])


def _meant(text: str, region: str) -> PhoneNumber:
    """Return the number of a text; gateways leave out the plus before the code of a country.

    As many digits can be a number of the country. They are, if people there write it so, with or
    without the code of the area.
    """
    here = phonenumbers.parse(text, region, keep_raw_input=True)
    first = DIGITS.search(text)
    if here.country_code_source != CountryCodeSource.FROM_DEFAULT_COUNTRY or first is None:
        return here
    written = text[first.start() :]
    if _is_as_at_home(written, here):
        return here
    try:
        abroad = phonenumbers.parse(f"+{written}")
    except NumberParseException:
        return here
    return abroad if _is_likelier(abroad, here, _digits(first[0])) else here


def _is_as_at_home(written: str, here: PhoneNumber) -> bool:
    if phonenumbers.is_valid_number(here):
        at_home = phonenumbers.format_number(here, PhoneNumberFormat.NATIONAL)
        return _digits(written).startswith(_digits(at_home))
    possible = phonenumbers.is_possible_number_with_reason(here)
    return possible == ValidationResult.IS_POSSIBLE_LOCAL_ONLY


def _is_likelier(abroad: PhoneNumber, here: PhoneNumber, first: str) -> bool:
    """Tell whether a number begins with the code of a country; `first` is its first group.

    It does where that is the code of the country it is written in, or it can be no number there,
    or only a landline, while it is a mobile abroad. Groups may speak for the code of an area.
    """
    if not phonenumbers.is_valid_number(abroad):
        return False
    digits = _digits(_e164(abroad))
    long = len(digits) >= LEAST_ABROAD
    stands_apart = first in {str(abroad.country_code), digits}
    known = phonenumbers.is_valid_number(here)
    if abroad.country_code == here.country_code:
        return long or stands_apart or not known
    if not known:
        return long
    mobile = _is_mobile(abroad) and not _is_mobile(here)
    return mobile and stands_apart and len(digits) >= LEAST_MOBILE_ABROAD


def _digits(text: str) -> str:
    return phonenumbers.normalize_digits_only(text)


def _is_mobile(number: PhoneNumber) -> bool:
    return phonenumbers.number_type(number) == PhoneNumberType.MOBILE


def _stable(value: str) -> str:
    """Return a number without the prefixes for calls at home that are left in front of it."""
    while len(again := _e164(phonenumbers.parse(value))) < len(value):
        value = again
    return value


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
