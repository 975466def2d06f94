"""Whom to ask about the statement before: its rows, its warnings, all else.

ROW_COUNT(), FOUND_ROWS() and SHOW WARNINGS are each about another statement before (see
`following`), which ran on some member. Questions of rwsplit's own change what that member would
answer; so what it knew is asked along with them, and kept in `told`. What nobody can tell any more
is None, and who asks for that is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..flavors.traits import traits_of
from ..sql.following import (
    changes_rows,
    counts_rows,
    counts_rows_late,
    may_count_rows,
    resets_warnings,
)
from ..sql.statement import Statement

__all__ = ["FOUND_ROWS", "ROW_COUNT", "WARNINGS", "Followed"]

FOUND_ROWS = "found_rows"
ROW_COUNT = "row_count"
WARNINGS = "warnings"


class Member(Protocol):
    """A member, as far as it is asked about a statement before."""

    asked: bool
    """A question of ours ran there behind the last statement whose rows FOUND_ROWS() counts."""

    def note_asked(self, asked: bool = True) -> None:
        """Note whether one did."""


class Followed:
    """Who knows what of the statement before.

    :param primary: where nothing ran yet.
    """

    __slots__ = (
        "counted",
        "counts_late",
        "flavor",
        "keeps_warnings",
        "kept_warnings",
        "last",
        "skipped",
        "told",
        "warned",
    )

    def __init__(self, primary: Any, flavor: str) -> None:
        self.flavor = flavor
        self.keeps_warnings = traits_of(flavor).keeps_warnings
        """The list of warnings outlives statements that use no table."""
        self.counts_late = False
        """FOUND_ROWS() will be about a statement before where the next one changes rows."""
        self.skipped = False
        """The last statement was not sent to the primary, and has nothing to do there."""
        self.told: dict[str, int] = {}
        """What the member that would be asked has told already, and can't be asked again."""
        self.kept_warnings: tuple[Any, list[tuple[Any, ...]]] | None = None
        """The warnings, with their columns, where a question of ours has cleared them."""
        self.ask_only(primary)

    def __repr__(self) -> str:
        """Tell what is kept."""
        return f"<Followed on {self.last!r}, told {self.told}>"

    def ask_only(self, member: Any) -> None:
        """Note that all that is known is known to one member: there, or nowhere, things go on."""
        self.last: Any = member
        """Whom ROW_COUNT() is about; None if nobody can tell."""
        self.counted: Any = member
        """Whom FOUND_ROWS() is about; None if nobody can tell."""
        self.warned: Any = member
        """Whom SHOW WARNINGS is about; None if nobody can tell."""

    def forget(self, primary: Any) -> None:
        """Note that the connection to the primary was lost, and what it knew."""
        self.skipped = self.counts_late = False
        self.told.clear()
        self.kept_warnings = None
        self.ask_only(primary)

    def lose_track(self) -> None:
        """Note that what ran before was not heard of, and that questions of ours came behind it."""
        self.last = self.counted = self.warned = None

    # What ran.

    def note_result(
        self, member: Any, statement: Statement, has_rows: bool, warnings: int | None
    ) -> None:
        """Note that a statement ran on a member; `warnings` is how many it gave."""
        told = self.told
        usual = statement.plain and statement.verb == "SELECT" and not statement.parts
        if usual and not (told or self.counts_late):
            self.last = self.counted = member
            member.note_asked(False)
            if statement.tables or warnings or not self.keeps_warnings:
                self.warned = member
            return
        if statement.verb != "GET DIAGNOSTICS":  # it leaves ROW_COUNT() alone (tried)
            self.last = member
            told.pop(ROW_COUNT, None)
        counts = counts_rows(statement, self.flavor, has_rows)
        if counts and warnings and statement.verb.startswith("CREATE"):
            counts = None  # of a table that was there already nothing is counted
        if self.counts_late and counts is False and changes_rows(statement):
            counts = None
        late = self.counts_late and counts is False
        self.counts_late = late or counts_rows_late(statement, self.flavor)
        if counts or (counts is None and (self.counted is not member or FOUND_ROWS in told)):
            self.counted = member if counts else None
            member.note_asked(False)
            told.pop(FOUND_ROWS, None)
        if not self.keeps_warnings or resets_warnings(statement, warnings):
            self.warned = member
            if told:
                self.forget_warnings()
        elif statement.functions and self.source(WARNINGS) is not member:
            # Whether it used a table, and so has cleared the list, nobody can tell.
            self.warned = None
            self.forget_warnings()

    def note_read(self, member: Any, statement: Statement, result: Any) -> None:
        """Do so for a read on the straight road, where nothing was told and nothing counts late."""
        if statement.verb == "SELECT":
            self.last = self.counted = member
            if statement.tables or result.warning_count or not self.keeps_warnings:
                self.warned = member
        else:
            self.note_result(member, statement, bool(result.field_count), result.warning_count)

    def note_write(self, member: Any, statement: Statement, warnings: int) -> None:
        """Do so for a write that changes rows alone, and returned none."""
        if self.told or self.counts_late:
            self.note_result(member, statement, has_rows=False, warnings=warnings)
            return
        self.last = self.warned = member
        counts = statement.counts
        if counts or (counts is None and self.counted is not member):
            self.counted = member if counts else None
            member.note_asked(False)

    def note_last(self, member: Any, warned: bool = True) -> None:
        """Note whom ROW_COUNT() is about, and the warnings if they are."""
        self.last = member
        self.told.pop(ROW_COUNT, None)
        if warned:
            self.warned = member
            self.forget_warnings()

    def note_failed(self, member: Any, statement: Statement, number: object) -> None:
        """Note whom ROW_COUNT() and the warnings are about where a statement has failed.

        Whether FOUND_ROWS() is, too, hangs on how far it came: nobody can tell.
        """
        self.note_last(member)
        alone = self.counted is member and FOUND_ROWS not in self.told
        counts = counts_rows(statement, self.flavor, has_rows=True)
        if counts is not False and not alone and may_count_rows(number):
            self.counted = None
            self.told.pop(FOUND_ROWS, None)

    def note_skipped(self, primary: Any, skipped: bool) -> None:
        """Note a statement that was not sent: nobody needs to run it.

        Not `skipped` is one that nothing can stand for on the primary, should it be asked about.
        """
        self.skipped = skipped
        self.note_last(primary, warned=not self.keeps_warnings)
        if not skipped:
            self.told[ROW_COUNT] = 0

    def note_sent(self) -> None:
        """Note that the last statement was sent, or that something stands for it."""
        self.skipped = False

    def ask_about_warnings(self) -> Any:
        """Let the next question go to whom SHOW WARNINGS is about; returns who that is."""
        self.last = self.warned
        return self.warned

    def note_error(self) -> None:
        """Note that ROW_COUNT() is what it is behind an error, or a SHOW."""
        self.told[ROW_COUNT] = -1

    def check_count(self) -> None:
        """Forget whom FOUND_ROWS() is about where a question of ours has changed it.

        For a statement that counts its own rows that is nothing; behind one that does not, or that
        failed, who asks is refused.
        """
        counted = self.counted
        if counted is not None and counted.asked:
            counted.note_asked(False)
            self.counted = None

    def note_told(self, **counts: int) -> None:
        """Keep what was told, and can't be asked again."""
        self.told.update(counts)

    # What is known.

    @property
    def is_free(self) -> bool:
        """Whether the next statement need not ask about the one before for it."""
        return not self.told and not self.counts_late

    def source(self, topic: str) -> Any:
        """Return who knows: a member; the number itself; None if nobody does."""
        if topic == WARNINGS:
            return self.told.get("warning_count", self.warned)
        if topic in self.told:
            return self.told[topic]
        return self.counted if topic == FOUND_ROWS else self.last

    def note_counts(self, counts: tuple[int, int] | None, wanted: Sequence[str]) -> None:
        """Keep what a member said of FOUND_ROWS() and ROW_COUNT(); None if it failed."""
        if counts is None:
            if FOUND_ROWS in wanted:
                self.counted = None
            return
        known = dict(zip((FOUND_ROWS, ROW_COUNT), counts, strict=True))
        if self.skipped:
            known[ROW_COUNT] = 0  # of what was not sent
        for topic in wanted:
            self.told[topic] = known[topic]

    def keep_warnings(
        self, warned: int, failed: int, columns: Any, rows: list[tuple[Any, ...]]
    ) -> None:
        """Keep the warnings of the application, which a question of ours has cleared."""
        if warned:
            self.told.update(warning_count=warned, error_count=failed)
            self.kept_warnings = columns, rows

    def forget_warnings(self) -> None:
        """Note that the warnings are those of a member again."""
        self.told.pop("warning_count", None)
        self.kept_warnings = None
