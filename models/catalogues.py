"""Catalogues that fill themselves: each file of a package puts something in, by its code."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

Entry = TypeVar("Entry")


class SelfFilled(dict[str, Entry]):
    """What the files of a package have put in so far; `what` it is called, of which one has two."""

    def __init__(self, package: str, *, what: str) -> None:
        super().__init__()
        self._package = package
        self._what = what

    def add(self, code: str, entry: Entry) -> None:
        """Put something in; raises `LookupError` where another has its code."""
        if code in self:
            raise LookupError(f"There are two {self._what} {code}.")
        self[code] = entry

    def whole(self) -> dict[str, Entry]:
        """Return all there is, in order of the codes; each file has been read."""
        for module in iter_modules(import_module(self._package).__path__):
            import_module(f"{self._package}.{module.name}")
        return dict(sorted(self.items()))
