"""What the tokens of a statement do, whatever the statement is: one walk over them.

The walk knows no grammar. It looks for the marks that can make a statement more than a read:
calls, assignments, locks, INTO, sequences, variables and tables that belong to one server. What
it meets and does not expect makes the statement unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..cause import Cause, Reason
from .dialect import Dialect
from .functions import ANY_SOME, GEOMETRY, SPECIAL, VARYING, builtins_of
from .lexer import LITERAL, NAME, ODD, OP, SYSVAR, USERVAR, WORD, Token
from .names import FOLLOWED, MEMBER_BOUND, OF_MEMBER, is_each_servers, local_table, name_at
from .statement import Kind, TableName, because
from .wordlist import words

__all__ = ["Effects", "walk"]

_RANK = {
    Kind.READ: 0,
    Kind.FOLLOW_READ: 1,
    Kind.PRIMARY_READ: 2,
    Kind.SESSION: 3,
    Kind.TRANSACTION: 4,
    Kind.WRITE: 5,
    Kind.UNKNOWN: 6,
}


class Effects:
    """What has been found so far; the strongest demand stands, the first among equals."""

    __slots__ = (
        "depends",
        "functions",
        "kind",
        "locks",
        "reason",
        "releases",
        "system_defaulted",
        "system_read",
        "system_written",
        "tables",
        "user_read",
        "user_written",
        "volatile",
    )

    def __init__(self) -> None:
        self.kind = Kind.READ
        self.reason = Reason("", Cause.READ)
        self.tables: dict[TableName, None] = {}
        self.user_read: set[str] = set()
        self.user_written: set[str] = set()
        self.system_read: set[str] = set()
        self.system_defaulted: set[str] = set()
        self.system_written: set[str] = set()
        self.functions: set[str] = set()
        self.locks: set[str] = set()
        self.releases: set[str] = set()
        self.depends: set[str] = set()
        self.volatile = False

    def demand(self, kind: Kind, reason: str, cause: Cause | None = None) -> None:
        """The statement is at least this."""
        if _RANK[kind] > _RANK[self.kind]:
            self.kind, self.reason = kind, because(kind, reason, cause)


class _Frame:
    """What is known inside one pair of parentheses."""

    __slots__ = ("columns", "expects_table", "in_from", "is_query")

    def __init__(self, is_query: bool, in_from: bool, columns: bool = False) -> None:
        self.is_query = is_query
        self.in_from = in_from
        self.expects_table = in_from
        self.columns = columns


def walk(tokens: Sequence[Token], dialect: Dialect, effects: Effects, query: bool = True) -> None:
    """Add to `effects` what the tokens do.

    `query` says that they are a query expression: a verb that writes is then out of place.
    """
    _Walk(tokens, dialect, effects, query).run()


class _Walk:
    __slots__ = ("_builtins", "_dialect", "_effects", "_frames", "_query", "_tokens")

    def __init__(
        self, tokens: Sequence[Token], dialect: Dialect, effects: Effects, query: bool
    ) -> None:
        self._tokens = tokens
        self._dialect = dialect
        self._effects = effects
        self._query = query
        self._builtins = builtins_of(dialect)
        self._frames = [_Frame(is_query=True, in_from=False)]

    def run(self) -> None:
        for index, token in enumerate(self._tokens):
            kind = token.kind
            if kind in (WORD, NAME):
                self._name(index, token)
            elif kind == OP:
                self._operator(index, token.text)
            elif kind == USERVAR:
                self._user_variable(index, token.text)
            elif kind == SYSVAR:
                self._system_variable(index, token.text)
            elif kind == ODD:
                self._effects.demand(Kind.UNKNOWN, f"not understood: {token.text}")

    # -- what stands around a token

    def _at(self, index: int) -> Token:
        return self._tokens[index] if 0 <= index < len(self._tokens) else _NOTHING

    def _is_word(self, index: int, *words: str) -> bool:
        token = self._at(index)
        return token.kind == WORD and token.text in words

    def _is_op(self, index: int, text: str) -> bool:
        token = self._at(index)
        return token.kind == OP and token.text == text

    # -- operators

    def _operator(self, index: int, text: str) -> None:
        frames = self._frames
        if text == "(":
            frame = frames[-1]
            columns = self._is_word(index - 1, "COLUMNS") and self._at(index - 2).kind == LITERAL
            frames.append(_Frame(False, frame.expects_table, columns or frame.columns))
            frame.expects_table = False
        elif text == ")":
            if len(frames) > 1:
                frames.pop()
        elif text == ",":
            frames[-1].expects_table = frames[-1].in_from
        elif text == ":=" and self._at(index - 1).kind != USERVAR:
            self._effects.demand(Kind.UNKNOWN, "':=' without a user variable before it")

    # -- variables

    def _user_variable(self, index: int, name: str) -> None:
        if self._is_op(index + 1, ":="):
            self._effects.user_written.add(name)
            self._effects.demand(Kind.PRIMARY_READ, f"@{name} := sets a user variable")
        else:
            self._effects.user_read.add(name)

    def _system_variable(self, index: int, name: str) -> None:
        position = index + 1
        for _ in range(3):
            if not self._is_op(position, "."):
                break
            name += "." + self._at(position + 1).text.lower()
            position += 2
        scope, _, rest = name.partition(".")
        is_global = scope == "global" and bool(rest)
        is_scoped = is_global or (scope in ("session", "local") and bool(rest))
        if is_scoped:
            name = rest
        if not name or name.endswith("."):
            self._effects.demand(Kind.UNKNOWN, "'@@' without a name")
            return
        if not is_global:
            self._effects.system_read.add(name)
        if name in FOLLOWED:
            self._effects.depends.add("warnings")
            self._effects.demand(Kind.FOLLOW_READ, f"@@{name} is about the statement before")
        elif name in MEMBER_BOUND or name.startswith(("session_track", "pseudo_")):
            self._effects.depends.add(MEMBER_BOUND.get(name, "connection"))
            self._effects.demand(Kind.PRIMARY_READ, f"@@{name} differs between members")
        elif is_global and name not in OF_MEMBER:
            self._effects.demand(Kind.PRIMARY_READ, f"@@GLOBAL.{name} is each server's own")
        elif not is_scoped and is_each_servers(name):
            self._effects.demand(Kind.PRIMARY_READ, f"@@{name} is each server's own")

    # -- names

    def _name(self, index: int, token: Token) -> None:
        qualified = self._is_op(index - 1, ".")
        frame = self._frames[-1]
        if self._is_op(index + 1, "("):
            self._call(index, token, qualified)
            if token.kind == NAME or token.text not in _KEYWORDS:
                return
        elif frame.expects_table:  # behind a point, too: `FROM .t`
            if self._table(index, token):
                return
        elif qualified and token.text.upper() in ("NEXTVAL", "CURRVAL", "LASTVAL"):
            self._sequence(f".{token.text}")
        if token.kind == WORD and not qualified:
            handler = _KEYWORDS.get(token.text)
            if handler is not None:
                handler(self, index)

    def _table(self, index: int, token: Token) -> bool:
        """Take a table's name where one is expected; False if there is a keyword instead."""
        if token.kind == WORD and self._is_keyword(index, token.text):
            if token.text not in _NO_TABLE or token.text == "DUAL":
                self._frames[-1].expects_table = False
            return False
        name, _ = name_at(self._tokens, index)
        self._frames[-1].expects_table = False
        self.add_table(name)
        return True

    def _is_keyword(self, index: int, word: str) -> bool:
        """Whether a word where a table may stand is none: most words may be names, too."""
        if word == "OJ":
            return self._is_op(index - 1, "{")
        if word in ("LATERAL", "JSON_TABLE"):
            return self._is_op(index + 1, "(")
        if word in _MODIFIERS:
            return not self._query
        if word == "WINDOW":
            return self._dialect.flavor == "mysql"
        return word in _NO_TABLE or word in _RESERVED

    def add_table(self, name: TableName) -> None:
        """One more table, which may belong to one server."""
        self._effects.tables[name] = None
        local = local_table(name)
        if local is not None:
            self._effects.demand(local, f"{name} shows one server's own state")

    def _call(self, index: int, token: Token, qualified: bool) -> None:
        """A name with a parenthesis behind it: built in, structure, or a stored function."""
        if self._frames[-1].columns or self._is_structure(index, token, qualified):
            return
        name = token.text.upper() if token.text.isascii() else token.text
        if qualified:
            database, _ = name_at(self._tokens, max(index - 2, 0))
            self._stored(str(database))
            return
        known = self._builtins
        quoted = token.kind == NAME
        if (
            name in known.native
            or (not quoted and name in known.keywords and not self._wrong_geometry(index, name))
            or (not quoted and token.glued and name in known.tokens)
        ):
            self._builtin(index, name)
        elif quoted or name not in known.clauses:
            self._stored(token.raw if token.kind == WORD else token.text)

    def _is_structure(self, index: int, token: Token, qualified: bool) -> bool:
        if self._frames[-1].expects_table:
            # INSERT INTO t (a, b); JSON_TABLE( is built in, here and nowhere else.
            if token.kind == WORD and token.text == "JSON_TABLE":
                self._frames[-1].expects_table = False
                return True
            if token.kind == WORD and token.text == "LATERAL":
                return False
            return self._table(index, token) and not self._query
        if qualified:
            # Behind a table's name: REFERENCES db.t (c), INSERT INTO db.t (c).
            return not self._query and self._was_table(index)
        before = self._at(index - 1)
        if before.kind == WORD and before.text == "AS":
            return True  # a type, or an alias with its columns
        if token.kind == WORD and token.text in ANY_SOME:
            return before.kind == OP and before.text in "=<>"
        if token.kind == WORD and token.text == "OFFSET":
            return before.kind == LITERAL or (before.kind == OP and before.text == ")")
        if token.kind == WORD and token.text == "AGAINST":
            return before.kind == OP and before.text == ")"
        if token.kind == WORD and token.text == "COLUMNS" and before.kind == LITERAL:
            return True
        return self._is_column_list(index)

    def _was_table(self, index: int) -> bool:
        name, _ = name_at(self._tokens, index - 2)
        return name in self._effects.tables

    def _is_column_list(self, index: int) -> bool:
        """`WITH c (a, b) AS (` and `(SELECT ...) d (a, b)`."""
        position = index + 2
        while self._at(position).kind in (WORD, NAME) and self._is_op(position + 1, ","):
            position += 2
        if self._at(position).kind not in (WORD, NAME) or not self._is_op(position + 1, ")"):
            return False
        if self._is_word(position + 2, "AS") and self._is_op(position + 3, "("):
            return True
        before = self._at(index - 1)
        return before.kind == OP and before.text == ")" and self._at(index).kind == NAME

    def _stored(self, name: str) -> None:
        self._effects.functions.add(name)

    def _wrong_geometry(self, index: int, name: str) -> bool:
        """Whether MariaDB may take a geometry's constructor for a stored function."""
        if self._dialect.flavor != "mariadb" or name not in GEOMETRY:
            return False
        if name != "POINT":
            return self._is_op(index + 2, ")")
        # Literals fold with their commas, so POINT(1, 2) looks like POINT(1). Not far: the time
        # must stay linear.
        depth, position = 1, index + 2
        while depth and position < min(len(self._tokens), index + 40):
            depth += self._is_op(position, "(") - self._is_op(position, ")")
            if depth == 1 and self._is_op(position, ","):
                return False
            position += 1
        return True

    def _builtin(self, index: int, name: str) -> None:
        effects = self._effects
        if name == "LAST_INSERT_ID" and not self._is_op(index + 2, ")"):
            effects.system_written.add("last_insert_id")
            effects.demand(Kind.PRIMARY_READ, "LAST_INSERT_ID(expr) sets the insert id")
            return
        if name == "DEFAULT" and self._query and self._dialect.flavor == "mariadb":
            effects.demand(Kind.PRIMARY_READ, "DEFAULT() may take a sequence's next value")
        special = SPECIAL.get(name)
        if special is None:
            return
        effects.volatile |= special.volatile
        if special.depends:
            effects.depends.add(special.depends)
        if special.locks:
            effects.locks.add(special.locks)
        if special.releases:
            effects.releases.add(special.releases)
        cause = Cause.LOCK if special.locks or special.releases else None
        effects.demand(special.kind, f"{name}(): {_SAYS[special.kind]}", cause)

    # -- keywords

    def _start_query(self, index: int) -> None:
        frame = self._frames[-1]
        frame.is_query, frame.in_from, frame.expects_table = True, False, False

    def _start_from(self, index: int) -> None:
        frame = self._frames[-1]
        if frame.is_query:
            frame.in_from = frame.expects_table = True

    def _table_keyword(self, index: int) -> None:
        frame = self._frames[-1]
        frame.is_query = frame.in_from = frame.expects_table = True

    def _join(self, index: int) -> None:
        self._frames[-1].expects_table = self._frames[-1].in_from

    def _end_from(self, index: int) -> None:
        frame = self._frames[-1]
        frame.in_from = frame.expects_table = False

    def _end_table(self, index: int) -> None:
        self._frames[-1].expects_table = False

    def _for(self, index: int) -> None:
        if self._is_word(index + 1, "UPDATE", "SHARE"):
            self._lock_rows(f"FOR {self._at(index + 1).text}")

    def _lock(self, index: int) -> None:
        if self._is_word(index + 1, "IN") and self._is_word(index + 2, "SHARE"):
            self._lock_rows("LOCK IN SHARE MODE")

    def _lock_rows(self, clause: str) -> None:
        self._end_from(0)
        self._effects.locks.add("rows")
        self._effects.demand(Kind.PRIMARY_READ, f"{clause} locks rows", Cause.LOCK)

    def _next(self, index: int) -> None:
        if self._is_word(index + 1, "VALUE") and self._is_word(index + 2, "FOR"):
            self._sequence(f"{self._at(index).text} VALUE FOR")

    def _sequence(self, clause: str) -> None:
        if self._dialect.flavor != "mariadb":
            return
        goes_on = "NEXT" in clause.upper()
        self._effects.depends.add("sequence" if goes_on else "lastval")
        kind = Kind.WRITE if goes_on else Kind.PRIMARY_READ
        self._effects.demand(kind, f"{clause} of a sequence")

    def _into(self, index: int) -> None:
        self._end_from(index)
        after = self._at(index + 1)
        if after.kind == WORD and after.text in ("OUTFILE", "DUMPFILE"):
            self._effects.demand(Kind.WRITE, f"INTO {after.text} writes a file on the server")
        elif after.kind == USERVAR:
            position = index + 1
            while self._at(position).kind == USERVAR:
                self._effects.user_written.add(self._at(position).text)
                if not self._is_op(position + 1, ","):
                    break
                position += 2
            self._effects.demand(Kind.PRIMARY_READ, "INTO sets user variables")
        elif self._query:
            self._effects.demand(Kind.UNKNOWN, "INTO of neither a file nor a user variable")
        else:
            self._frames[-1].in_from = self._frames[-1].expects_table = True

    def _update(self, index: int) -> None:
        if not self._is_word(index - 1, "FOR", "KEY", "ON"):
            self._verb(index)

    def _set(self, index: int) -> None:
        self._end_from(index)
        if not self._is_word(index - 1, "CHARACTER", "CHAR"):
            self._verb(index)

    def _verb(self, index: int) -> None:
        if self._query and not self._is_op(index + 1, "("):
            self._effects.demand(Kind.UNKNOWN, f"{self._at(index).text} inside a query")
        elif index == 0:
            self._table_keyword(index)

    def _varying(self, index: int) -> None:
        self._effects.volatile = True


_NOTHING = Token(-1, "")
_MODIFIERS = words("ONLY QUICK CONCURRENT LOCAL")
"""Words that a statement that writes may have before its table, and names in queries."""
_NO_TABLE = _MODIFIERS | words(
    "SELECT VALUES WITH LATERAL JSON_TABLE DUAL TABLE IGNORE LOW_PRIORITY HIGH_PRIORITY DELAYED OJ"
)
_SAYS = {
    Kind.READ: "",
    Kind.FOLLOW_READ: "is about the statement before",
    Kind.PRIMARY_READ: "belongs to the primary's connection",
    Kind.WRITE: "changes a sequence",
}

_KEYWORDS: dict[str, Callable[[_Walk, int], None]] = {
    **dict.fromkeys(("SELECT", "VALUES", "WITH"), _Walk._start_query),
    "TABLE": _Walk._table_keyword,
    "FROM": _Walk._start_from,
    **dict.fromkeys(("JOIN", "STRAIGHT_JOIN"), _Walk._join),
    **dict.fromkeys(
        words("WHERE GROUP HAVING ORDER LIMIT WINDOW UNION EXCEPT INTERSECT MINUS FETCH"),
        _Walk._end_from,
    ),
    **dict.fromkeys(("ON", "USING"), _Walk._end_table),
    "FOR": _Walk._for,
    "LOCK": _Walk._lock,
    "NEXT": _Walk._next,
    "PREVIOUS": _Walk._next,
    "INTO": _Walk._into,
    "UPDATE": _Walk._update,
    "SET": _Walk._set,
    **dict.fromkeys(
        words(
            "DELETE INSERT REPLACE DROP ALTER CREATE CALL GRANT REVOKE LOAD RENAME KILL PROCEDURE"
        ),
        _Walk._verb,
    ),
    **dict.fromkeys(VARYING, _Walk._varying),
}

# Words of the walk that cannot be a table's bare name.
_RESERVED = frozenset(_KEYWORDS) - {"NEXT", "PREVIOUS", "MINUS", "SYSDATE"}
