"""Scopes: what a block of code must see, whichever connections it uses."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from .._core.cluster.position import Position, decode, encode, strange, within
from .._core.setup.options import CONNECT, parse_after
from .context import Block, Context, checked_id, current
from .member import ask_aside
from .process import Heard, ProcessPosition, doubt_number
from .registry import Registry

if TYPE_CHECKING:
    from .account import Account
    from .cluster import Cluster

__all__ = ["Listeners", "Scope", "ScopePosition", "current_scope", "scope"]


class ScopePosition(ProcessPosition):
    """What a scope must see of one primary: what its blocks have committed, on any connection.

    :param process: what the whole process has committed there.
    """

    def __init__(self, process: ProcessPosition, flavor: str) -> None:
        super().__init__()
        self.begin(flavor)
        self.flavor = flavor
        self.asked: Position | None = None
        """What was only asked for, and may be made up."""
        self.unchecked = False
        """Nobody has looked whether that can be another cluster's."""
        self._process = process
        self._clusters: list[Cluster] = []
        self._account: Account | None = None
        """Whose connection can ask the primary where it is."""
        self._strange: Position | None = None
        """What was asked for and is of sources that this primary has nothing of."""
        _all.add(self)

    def join(self, cluster: Cluster, account: Account) -> None:
        """Note whose connection is used in the scope."""
        self._account = account
        if cluster not in self._clusters:
            self._clusters.append(cluster)

    def ask_for(self, position: Position) -> None:
        """See from now on what the application asks for, and what may be made up."""
        with self._lock:
            self.asked = position if self.asked is None else self.asked | position
            self._position = self._position | position
            self.unchecked = True
            self.latest = object()

    def begin_at_process(self) -> None:
        """See all that this process knows the primary to have."""
        last_seen = self._clusters[-1].last_seen
        heard, seen = self._process.look(last_seen), last_seen()
        with self._lock:
            self._position = self._position | heard.position
            if seen is not None and seen.flavor == self._flavor:
                self._position = self._position | seen
            self.latest = object()
        if heard.doubt:
            self.doubt(heard.unsure, heard.doubt)

    def may_be_elsewhere(self, known: Position | None) -> bool:
        """Tell whether what was asked for may be of another cluster than is known to be at `known`.

        The question is for once: from then on it counts as looked at.
        """
        with self._lock:
            self.unchecked = False
            if self.asked is None:
                return False
            return known is None or bool(strange(self.asked, known))

    def take_primary(self, now: Position) -> None:
        """Let go of what the primary, which is at `now`, does not have.

        What is another cluster's, perhaps, is still carried on.
        """
        with self._lock:
            asked, self.asked = self.asked, None
            if asked is not None:
                part = strange(asked, now)
                if part:
                    self._strange = part if self._strange is None else self._strange | part
            position = self._add_up()
            if not now.covers(position):
                self._position = within(position, now)
                self.latest = object()

    def let_go(self, known: Position, now: Position) -> None:
        """Let go of what a primary that is at `now` does not have; see `ProcessPosition`."""
        with self._lock:
            is_known = self._position is known
        if is_known:
            self.take_primary(now)

    @property
    def in_doubt(self) -> bool:
        """Whether something may have been committed that nobody reported."""
        return self._doubts > self._settled

    def carried(self) -> Position:
        """Return all that is to be carried on; asks the primary if that is not known."""
        heard = self._look()
        if heard.doubt:
            assert self._account is not None
            self.settle(heard.doubt, ask_aside(self._clusters[-1], self._account))
            heard = self._look()
        position = heard.position
        return position if self._strange is None else position | self._strange

    def _look(self) -> Heard:
        return self.look(self._clusters[-1].last_seen)

    @property
    def settled(self) -> bool:
        """Whether all replicas are known to have it, whichever connections they are of.

        What is next may be another connection, with other replicas. Where this process knows of
        none, others may.
        """
        heard = self._look()
        if self._strange or heard.doubt:
            return False
        return not heard.position or all(
            not cluster.has_gtids or cluster.all_around_have(heard.position)
            for cluster in [*self._clusters]
        )


_all: Registry[ScopePosition] = Registry()


def _after_fork() -> None:
    _all.after_fork()
    for position in _all.all():
        position.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Listeners(NamedTuple):
    """Who hears what a connection commits: the process, and the scopes that it is used in."""

    positions: tuple[ProcessPosition, ...]
    scopes: tuple[Scope, ...]

    def note(self, gtids: str | bytes) -> None:
        """Note what was committed, as the server prints it."""
        for position in self.positions:
            position.note(gtids)
        for scope in self.scopes:
            scope.wrote = True

    def doubt(self, unsure: bool) -> int:
        """Note that something may have been committed that nobody reported."""
        number = doubt_number()
        for position in self.positions:
            position.doubt(unsure, number)
        for scope in self.scopes:
            scope.wrote = True
        return number

    def settle(self, doubt: int, position: Position) -> None:
        """Note where the primary was when it was asked because of a doubt."""
        for each in self.positions:
            each.settle(doubt, position)


class Scope(Block):
    """A block of code whose reads see what its writes wrote, on any pooled connection.

    :param after: what it must see to begin with.
    :param is_checked: False where what it must see comes from strangers, so that one of another
        flavor than the servers' is no error.
    """

    wrote: bool
    """Whether something was committed in the block, or may have been."""

    def __init__(
        self, after: str | None = None, session_id: str | int | None = None, is_checked: bool = True
    ) -> None:
        after = parse_after(after)
        self._given = after, session_id, is_checked
        self._session_id = None if session_id is None else checked_id(session_id)
        self._is_checked = is_checked
        self._begins_at_process = after == CONNECT
        self._after = decode(after) if after is not None and after != CONNECT else None
        self.wrote = False
        self._outer: Scope | None = None
        self._root = self
        self._lock = threading.Lock()
        # Of the outermost scope, which those within share.
        self._parts: dict[ProcessPosition, ScopePosition] = {}
        self._asked: dict[str, Position] = {}
        """By flavor, what it was asked to see."""
        self._at_process = False
        """It sees all that this process knows the primary to have."""
        self._entered = False

    def __repr__(self) -> str:
        """Tell what became of it."""
        return f"<rwsplit.scope wrote={self.wrote}>"

    def _again(self) -> Scope:
        return Scope(*self._given)

    def _enter(self) -> None:
        outer = current.get()
        if not self._entered:
            self._entered = True
            if outer is not None and outer.scope is not None and outer.scope is not self:
                self._outer, self._root = outer.scope, outer.scope._root
            self._root._begin(self._after, self._begins_at_process)
        super()._enter()

    def within(self, outer: Context | None) -> Context:
        """Return what holds in this block, within another."""
        if outer is None:
            return Context(self, None, self._session_id, self)
        id_ = outer.session_id if self._session_id is None else self._session_id
        return outer._replace(block=self, outer=outer, session_id=id_, scope=self)

    def _begin(self, after: Position | None, at_process: bool = False) -> None:
        """Take in what a scope within this one, or this one itself, begins with."""
        with self._lock:
            parts = [*self._parts.values()]
            self._at_process = self._at_process or at_process
            if after is not None:
                known = self._asked.get(after.flavor)
                self._asked[after.flavor] = after if known is None else known | after
        for part in parts:
            if after is not None and part.flavor == after.flavor:
                part.ask_for(after)
            if at_process:
                part.begin_at_process()

    # For connections.

    def part(self, cluster: Cluster, account: Account, joins: bool = True) -> ScopePosition:
        """Return what it must see of a cluster's primary.

        Raises ValueError for a position of another flavor that the application has given, where
        the connection `joins` the scope.
        """
        root, flavor = self._root, cluster.flavor
        if joins and self._is_checked and root._asked and flavor not in root._asked:
            given = ", ".join(root._asked)
            raise ValueError(f"after: a position of {given}, and the primary is {flavor}")
        with root._lock:
            part = root._parts.get(cluster.process)
            if part is None:
                part = ScopePosition(cluster.process, flavor)
                part.join(cluster, account)
                asked = root._asked.get(flavor)
                if asked is not None:
                    part.ask_for(asked)
                if root._at_process:
                    part.begin_at_process()
                root._parts[cluster.process] = part
            else:
                part.join(cluster, account)
        return part

    @property
    def begins_anew(self) -> bool:
        """Whether what connections began with does not count."""
        return not self._root._at_process

    def around(self) -> tuple[Scope, ...]:
        """Return this scope and those around it."""
        return (self,) if self._outer is None else (self, *self._outer.around())

    # For applications.

    @property
    def position(self) -> str:
        """All that the block must see, as a short text that URLs and cookies can carry.

        `""` for nothing. Within another scope that is what the outer one must see, too. Where a
        commit was not reported, the primary is asked, one round trip; raises OperationalError if
        it can't be. Raises ValueError where the block must see positions of both flavors, which one
        text can't hold: `connection.position` has that of one.
        """
        root = self._root
        with root._lock:
            parts = [*root._parts.values()]
            found = {**root._asked}
        for flavor in {part.flavor for part in parts}:
            found.pop(flavor, None)
        for part in parts:
            carried = part.carried()
            if carried:
                known = found.get(part.flavor)
                found[part.flavor] = carried if known is None else known | carried
        if len(found) > 1:
            raise ValueError("what the scope must see is of MySQL and of MariaDB")
        return "".join(map(encode, found.values()))

    def see(self, position: str | None) -> None:
        """Let the block see a position from now on, too: one that another service has answered.

        None and `""` are nothing. Raises ValueError for what is none.
        """
        after = parse_after(position)
        if after is not None:
            at_process = after == CONNECT
            self._root._begin(None if at_process else decode(after), at_process)

    @property
    def settled(self) -> bool:
        """Whether every replica is known to have all that the block must see.

        As far as this process has heard of them: nobody is asked.
        """
        root = self._root
        with root._lock:
            parts = [*root._parts.values()]
            untouched = set(root._asked) - {part.flavor for part in parts}
        return not untouched and all(part.settled for part in parts)

    @property
    def in_doubt(self) -> bool:
        """Whether the primary must be asked before `position` is known."""
        root = self._root
        with root._lock:
            return any(part.in_doubt for part in root._parts.values())


def scope(after: str | None = None, session_id: str | int | None = None) -> Scope:
    """Say what a block of code must see, whichever pooled connections it uses.

    For `with`, `async with`, and as a decorator (each call is a scope then). Its reads see what it
    has begun with, and what it has written itself; not what others of this process commit, nor
    where a connection began. Copies of the context share it: threads of `asyncio.to_thread`, child
    tasks. A scope within another sees what the outer one must see, and the other way round.

    :param after: what it begins with: a position, as `scope.position` or `connection.position` gave
        it; None or `""` for nothing; `"connect"` for all that this process knows the primary to
        have when it is first used, at no round trip, and that connections begin with.
    :param session_id: the session id of the block, too: see `session_id()`.

    Raises ValueError for what is no position; so does the first statement on servers of another
    flavor than its. Raises ProgrammingError for a session id that is none.
    """
    return Scope(after, session_id)


def current_scope() -> Scope | None:
    """Return the innermost scope that the running code is in; None if it is in none."""
    context = current.get()
    found: Scope | None = None if context is None else context.scope
    return found
