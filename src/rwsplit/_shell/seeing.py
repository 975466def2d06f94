"""What a virtual connection's reads must see, as its application says and asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .._core.cluster.position import encode
from .._core.session.session_id import check_session_id
from .._core.setup.options import CONNECT
from .._core.setup.problems import shown
from .._drivers import err
from .connected import Connected
from .starting import position_of_text

__all__ = ["Seeing"]


class Seeing(Connected):
    """The methods about consistency, positions and session ids."""

    @contextmanager
    def consistency(self, level: str) -> Iterator[None]:
        """Give the reads of this block another consistency level.

        Raises ValueError for what is none.
        """
        if level not in ("eventual", "session", "global"):
            raise ValueError(
                f"consistency: expected eventual, session or global, got {shown(level)}"
            )
        session = self._session
        before = session.terms.say_in_block(level)
        session.look_at_terms()
        try:
            yield
        finally:
            session.terms.say_in_block(before)
            session.look_at_terms()

    @property
    def position(self) -> str:
        """The position that reads must see, as a short text that URLs and cookies can carry.

        `connect(after=...)` and `wait_for()` take it, in this process or another. Asks the primary
        where that is not known: after an error of a write, and after a read whose replica does not
        tell what it saw (on MariaDB; on MySQL while it advances). What the application may ask
        about the statement before, and what it still has to read of it, stays.
        """
        with self._having_turn() as begun:
            return encode(begun.roads.perform(begun.methods.knowing_position()))

    def wait_for(self, position: str, timeout: float) -> bool:
        """Wait until a replica has a position; this connection's reads see it from now on.

        :param position: as `connection.position` gave it.
        :param timeout: seconds.

        Returns False when the time is over; reads then run on the primary until a replica has it.
        Raises ValueError for what is no position of this flavor.
        """
        wanted = position_of_text(position, self.cluster.flavor)
        with self._having_turn() as begun:
            return begun.roads.perform(begun.methods.waiting(wanted, timeout))

    def begin_session(self) -> None:
        """Begin where the primary is, as far as this process knows, as `connect()` begins.

        For pools, whose connections begin anew when they are handed out. At no round trip, and only
        where `after` is `"connect"`.
        """
        if self._options.after != CONNECT or not self._session.terms.splits:
            return
        known = self.cluster.last_seen()
        if known is None or self._connected().journey.reads.chooser.all_have(known):
            return
        with self._having_turn() as begun:
            begun.roads.perform(begun.methods.beginning(known))

    @property
    def session_id(self) -> str | None:
        """The session id that this connection was given; None if it was given none."""
        return self._named_id if self._begun is None else self._begun.session.identity.named

    @session_id.setter
    def session_id(self, value: str | int | None) -> None:
        try:
            self._named_id = None if value is None else check_session_id(value)
        except ValueError as error:
            raise err.ProgrammingError(str(error)) from None
        begun = self._begun
        if begun is not None:
            begun.session.identity.name(self._named_id)
            begun.roads.perform(begun.journey.joining.joining())
