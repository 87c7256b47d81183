"""Bookmark: how far somebody has read a stream of rows that may appear out of the order of ids.

PostgreSQL gives a row its id before its transaction commits: one may appear below others that were
sent already. So a bookmark is a floor, up to which none can appear any more and all were sent, and
the ids above it that were: `120.124,125`.
"""

from dataclasses import dataclass
from typing import Self

MOST_ABOVE = 500
"""Ids that a bookmark holds beside its floor, so that it stays a header of a few kilobytes. Whoever
gets more within the minutes that rows may appear late misses one that does below all of them."""

WRITTEN = rf"^[0-9]{{1,18}}(\.[0-9]{{1,18}}(,[0-9]{{1,18}}){{0,{MOST_ABOVE - 1}}})?$"


@dataclass(frozen=True)
class Bookmark:
    """Everything up to `floor` was sent, and above it exactly what is in `above`."""

    floor: int
    above: frozenset[int] = frozenset()

    @classmethod
    def of(cls, text: str) -> Self:
        """Return what `str` has made of a bookmark."""
        floor, _, above = text.partition(".")
        return cls(int(floor), frozenset(int(each) for each in above.split(",") if each))

    def __str__(self) -> str:
        above = ",".join(str(each) for each in sorted(self.above))
        return f"{self.floor}.{above}" if above else str(self.floor)

    def after(self, row_id: int, settled: int) -> "Bookmark":
        """Return the bookmark once a row is sent, as all present rows before it were.

        Up to `settled` no more rows appear.
        """
        return self._at(min(settled, row_id), self.above | {row_id})

    def up_to(self, settled: int) -> "Bookmark":
        """Return the bookmark once every present row is sent."""
        return self._at(settled, self.above)

    def no_later_than(self, newest: int) -> "Bookmark":
        """Return the bookmark without ids that no row has had: it may be of another time.

        The database may be younger than it, having been restored from a backup.
        """
        return Bookmark(
            min(self.floor, newest), frozenset(each for each in self.above if each <= newest)
        )

    def _at(self, settled: int, sent: frozenset[int]) -> "Bookmark":
        dropped = sorted(sent)[:-MOST_ABOVE]
        floor = max(self.floor, settled, *dropped[-1:])
        return Bookmark(floor, frozenset(each for each in sent if each > floor))
