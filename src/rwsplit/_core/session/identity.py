"""Who shares a session, and what its reads must see of others.

By itself a connection shares the session of its process; a session id, a scope or a kind of session
id makes it another one. What it committed itself is kept aside meanwhile (`_alone`), and what its
reads have seen (`_outside`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..cluster.position import Position
from .seen import Seen, Sight
from .state import State

__all__ = ["AGAIN", "Identity"]

AGAIN: Any = object()
"""No context: what the block says has to be looked at again."""


class _Nobody:
    """What others have committed, for who does not share anything with others."""

    latest: object = None


_NOBODY = _Nobody()


class Identity:
    """Who a session is.

    :param kind: of the session id, where none is given.
    :param process: what the connections of this process have committed.
    :param user: tells the user's name.
    """

    __slots__ = (
        "_alone",
        "_outside",
        "context",
        "heard",
        "keeps_position",
        "key",
        "kind",
        "named",
        "of_process",
        "part",
        "process",
        "scope",
        "sharing",
        "user",
    )

    def __init__(self, kind: str, named: str | None, process: Any, user: Callable[[], str]) -> None:
        self.user = user
        """Tells the user's name."""
        self.kind = kind
        self.named = named
        """The session id that the connection was given."""
        self.of_process = process
        self.key: str | None = None
        """What the session id is stored under; None for none."""
        self.sharing: Any = None
        """What is shared under it."""
        self.context: Any = None
        """What the block says that the session has been brought to."""
        self.scope: Any = None
        self.part: Any = None
        """What the scope must see of this primary."""
        self.keeps_position = False
        """Who shares the session changes, and what it must see does not."""
        self._alone: tuple[Position, Position, bool] | None = None
        self._outside: dict[str | None, Sight] = {}
        """By replica, what reads have seen that do not bind those of the scope."""
        self.process: Any = _NOBODY
        """What others have committed that share the session: of this process, of a scope, or of a
        session id that is kept in this process."""
        self.heard: object = None
        """What there was of that when it was last looked at."""
        self.share_process()

    def __repr__(self) -> str:
        """Tell the kind, and whether there is an id."""
        return f"<Identity {self.key or self.kind}>"

    @property
    def has_news(self) -> bool:
        """Whether others have committed something since it was last looked at.

        What a store has is looked at by itself.
        """
        return self.process is not self.sharing and self.process.latest is not self.heard

    @property
    def needs_store(self) -> bool:
        """Whether a store must be asked, which may take its time, or not be there."""
        return self.sharing is not None and self.sharing is not self.process

    @property
    def is_free(self) -> bool:
        """Whether a read has nobody to ask, and nothing to tell of what was written."""
        sharing = self.sharing
        return sharing is None or (sharing is self.process and not sharing.is_open)

    @property
    def shared_id(self) -> str | None:
        """The session id in use, whatever kind it is of; None for one of its own."""
        return None if self.key is None else self.key.partition(":")[2] or None

    def name(self, session_id: str | None) -> None:
        """Be given a session id."""
        self.named = session_id

    def be(self, kind: str) -> None:
        """Take another kind of session id; who is already known keeps what it must see."""
        self.keeps_position = self.keeps_position or kind != self.kind
        self.kind = kind

    def take_key(self, key: str | None) -> None:
        """Take another key."""
        self.key = key

    def take_keeps(self) -> bool:
        """Tell, once, whether what the session must see stays."""
        keeps, self.keeps_position = self.keeps_position, False
        return keeps

    def key_of(self, context_id: str | None, schema: str | None) -> str | None:
        """Return the key of the session, in a block that says this id."""
        named = context_id if context_id is not None else self.named
        if named is not None:
            return f"provided:{named}"
        if self.kind == "database":
            return f"database:{schema or ''}"
        if self.kind == "user":
            return f"user:{self.user()}"
        return None

    def look_again(self) -> None:
        """Look again at what the block says, before the next statement."""
        self.context = AGAIN

    def enter(self, context: Any) -> None:
        """Be brought to what a block says."""
        self.context = context

    def take_scope(self, scope: Any) -> None:
        """Take the scope of the block."""
        self.scope = scope

    def share(self, sharing: Any) -> None:
        """Share a session id, or none."""
        self.sharing = sharing

    def share_process(self) -> None:
        """Share the session of the scope, or of the process where no session id says otherwise."""
        if self.part is not None:
            self.process = self.part
        elif self.sharing is not None and self.sharing.is_local:
            self.process = self.sharing
        else:
            shares = self.key is None and self.kind == "process"
            self.process = self.of_process if shares else _NOBODY
        self.heard = None

    def hear(self, latest: object) -> None:
        """Note what there is of others, before it is looked at: what comes meanwhile is news."""
        self.heard = latest

    def set_aside(self, state: State, in_scope: bool) -> None:
        """Keep what this connection wrote for itself until it is by itself again."""
        if not in_scope:
            self._alone = state.position, state.base, state.position_known
            return
        # What it wrote in a scope is seen behind that, too.
        position, base, known = self._alone or (state.origin, state.origin, True)
        self._alone = position | state.written, base, known and state.position_known

    def go_on_alone(self, state: State, anew: bool) -> None:
        """Be the session of nobody's id: the connection's own, or a scope's."""
        if self.part is None:
            state.begin_with(*(self._alone or (state.origin, state.origin, True)))
        else:
            state.begin_with(state.origin, state.origin, True, anew)

    def sights(self, seen: Seen) -> list[Sight]:
        """Return all that reads have seen, outside of the scope and now."""
        return [*self._outside.values(), seen.sight]

    def enter_scope(self, part: Any, sight: Sight, seen: Seen, state: State) -> None:
        """Be used in a scope from now on, or in none; `sight` is what reads have seen until now."""
        outside = self._outside
        known = outside.get(sight.at)
        outside[sight.at] = sight if known is None else known.then(sight)
        if self.key is None:
            self.set_aside(state, in_scope=self.part is not None)
        if part is None:
            seen.see_all(outside.values())
            outside.clear()
        self.part = part
