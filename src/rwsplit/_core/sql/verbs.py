"""One statement's tokens to its `Statement`: by its verb."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from .boundaries import backup, begin, block, end, lock, savepoint, start_transaction, unlock, xa
from .definition import (
    ROUTINES,
    call,
    definition,
    flush,
    handler,
    load,
    plain_write,
    table_list,
    tables_write,
)
from .dialect import Dialect
from .effects import Effects, walk
from .lexer import NAME, ODD, OP, USERVAR, WORD
from .names import name_at
from .queries import Tokens, build, is_word, leading, unknown, words_of
from .setting import Assignments, assignments
from .show import show
from .statement import Kind, Statement, because
from .wordlist import words

__all__ = ["classify_tokens", "is_compound"]

_READ, _PRIMARY, _WRITE = Kind.READ, Kind.PRIMARY_READ, Kind.WRITE
_QUERY_VERBS = ("SELECT", "WITH", "VALUES", "TABLE")
_DML_VERBS = ("INSERT", "REPLACE", "UPDATE", "DELETE")
_MAIN_VERBS = ("SELECT", "TABLE", "VALUES", *_DML_VERBS)


def classify_tokens(tokens: Tokens, dialect: Dialect) -> Statement:
    """Classify one statement, without a `;`."""
    if not tokens:
        return Statement(Kind.UNKNOWN, because(Kind.UNKNOWN, "empty"), may_write=False)
    first = tokens[0]
    odd = next((token for token in tokens if token.kind == ODD), None)
    if first.kind == OP and first.text == "(":
        found = _query(tokens, dialect)
    elif first.kind == WORD:
        rule = _VERBS.get(first.text)
        if isinstance(rule, str):
            found = plain_write(tokens, dialect, rule)
        elif rule is not None:
            found = rule(tokens, dialect)
        else:
            found = unknown(tokens, dialect, f"{first.raw!r} is no known verb")
    else:
        found = unknown(tokens, dialect, "does not begin with a verb")
    if odd is not None and found.kind is not Kind.UNKNOWN:
        # Where the text cannot be read to its end, nothing but the verb is sure.
        kind = Kind.WRITE if found.kind is Kind.WRITE else Kind.UNKNOWN
        found = found._replace(
            kind=kind,
            reason=because(Kind.UNKNOWN, f"not understood: {odd.text}"),
            may_write=True,
            may_change_session=True,
            kind_if_reading=None,
        )
    return found


def is_compound(tokens: Tokens, dialect: Dialect) -> bool:
    """Whether a `;` further on may belong to the statement itself: the body of a routine."""
    words = leading(tokens, 12)
    if not words:
        return False
    if words[0] in ("CREATE", "ALTER"):
        return not ROUTINES.isdisjoint(words_of(tokens[:40]))
    if dialect.flavor == "mariadb":
        if words[0] == "BEGIN":
            return words[1:2] == ["NOT"] or dialect.oracle
        return words[0] in _BLOCKS
    return False


_BLOCKS = frozenset(("IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR", "DECLARE"))


# -- queries


def _query(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    verb = _query_verb(tokens)
    main = _main_verb(tokens) if verb == "WITH" else verb
    if main in _DML_VERBS:
        walk(tokens, dialect, effects, query=False)
        return build(effects, main, kind=_WRITE, reason=f"WITH ... {main} writes")
    if not main:
        return unknown(tokens, dialect, "parentheses without a query")
    walk(tokens, dialect, effects)
    reason = effects.reason or f"{main} without side effects"
    return build(effects, main, reason=reason)


def _query_verb(tokens: Tokens) -> str:
    for token in tokens:
        if token.kind == OP and token.text == "(":
            continue
        return token.text if token.kind == WORD and token.text in _QUERY_VERBS else ""
    return ""


def _main_verb(tokens: Tokens) -> str:
    """The verb behind WITH's common table expressions."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind == OP:
            depth += (token.text == "(") - (token.text == ")")
        elif depth == 0 and index and is_word(tokens, index, *_MAIN_VERBS):
            return token.text
    # WITH ... (SELECT ...): what is in parentheses cannot be but a query.
    return "SELECT" if tokens[-1].kind == OP or depth == 0 else ""


def _do(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    effects.demand(_PRIMARY, "DO has no result to gain from a replica")
    walk(tokens[1:], dialect, effects)
    return build(effects, "DO")


def _explain(tokens: Tokens, dialect: Dialect) -> Statement:
    verb = tokens[0].text
    analyze = is_word(tokens, 1, "ANALYZE") or verb == "ANALYZE"
    start = next(
        (
            index
            for index, token in enumerate(tokens[1:], 1)
            if (token.kind == WORD and token.text in (*_QUERY_VERBS, *_DML_VERBS))
            or (token.kind == OP and token.text == "(")
        ),
        len(tokens),
    )
    options = tokens[1:start]
    if start == len(tokens):
        return _describe(tokens, dialect)
    inner = classify_tokens(tokens[start:], dialect)
    into = frozenset(token.text for token in options if token.kind == USERVAR)
    written = inner.user_variables_written | into
    full = "EXPLAIN ANALYZE" if analyze and verb != "ANALYZE" else verb
    inner = inner._replace(verb=full, user_variables_written=written)
    if inner.kind is _READ and not into:
        return inner._replace(reason=inner.reason.reworded(f"{verb} of {inner.reason}"))
    if analyze or inner.kind is Kind.UNKNOWN:
        return inner._replace(reason=inner.reason.reworded(f"{verb} runs it: {inner.reason}"))
    return inner._replace(
        kind=_PRIMARY,
        reason=because(
            _PRIMARY, f"{verb} INTO sets user variables" if into else f"{verb}: {inner.reason}"
        ),
        locks=frozenset(),
        may_write=bool(inner.functions),
        kind_if_reading=None if into else inner.kind_if_reading,
    )


def _describe(tokens: Tokens, dialect: Dialect) -> Statement:
    verb = tokens[0].text
    if any(is_word(tokens, index, "CONNECTION") for index in range(1, len(tokens))) and is_word(
        tokens, 1, "FOR", "FORMAT", "EXTENDED"
    ):
        return Statement(
            _PRIMARY, because(_PRIMARY, f"{verb} FOR CONNECTION is about one server"), verb
        )
    if len(tokens) < 2 or tokens[1].kind not in (WORD, NAME) or verb == "ANALYZE":
        return unknown(tokens, dialect, f"{verb} of what is not understood")
    effects = Effects()
    table, _ = name_at(tokens, 1)
    effects.tables[table] = None
    walk(tokens[2:], dialect, effects)
    return build(effects, "DESCRIBE", reason=effects.reason or f"{verb} of a table")


def _analyze(tokens: Tokens, dialect: Dialect) -> Statement:
    if is_word(tokens, 1, "TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"):
        return tables_write(tokens, dialect)
    if dialect.flavor == "mariadb":
        return _explain(tokens, dialect)
    return unknown(tokens, dialect, "ANALYZE of what is not understood")


def _checksum(tokens: Tokens, dialect: Dialect) -> Statement:
    return build(table_list(tokens, 2, dialect), "CHECKSUM TABLE", reason="CHECKSUM TABLE reads")


def _help(tokens: Tokens, dialect: Dialect) -> Statement:
    return Statement(_READ, because(_READ, "HELP reads the help tables"), "HELP")


# -- statements that write


# -- locks and transactions


def _start(tokens: Tokens, dialect: Dialect) -> Statement:
    if is_word(tokens, 1, "TRANSACTION"):
        return start_transaction(tokens, dialect)
    return plain_write(tokens, dialect, "commits")


# -- the session


def _set(tokens: Tokens, dialect: Dialect) -> Statement:
    if dialect.flavor == "mariadb" and is_word(tokens, 1, "STATEMENT"):
        return _set_statement(tokens, dialect)
    effects = Effects()
    found = assignments(tokens, dialect, effects)
    if found is None:
        return unknown(tokens, dialect, "SET of what is not understood")
    return _set_kind(found, effects)


def _set_kind(found: Assignments, effects: Effects) -> Statement:
    writes = effects.kind in (Kind.WRITE, Kind.UNKNOWN)
    if found.writes and not found.session and not effects.user_written:
        kind = Kind.WRITE
    elif found.one_shot and not found.session and not effects.user_written:
        kind = Kind.TRANSACTION
    else:
        kind = Kind.UNKNOWN if effects.kind is Kind.UNKNOWN else Kind.SESSION
    functions = bool(effects.functions)
    return build(
        effects,
        found.verb,
        kind=kind,
        reason=effects.reason if kind is Kind.UNKNOWN else found.reason,
        transaction="set transaction" if found.one_shot else None,
        implicit_commit="autocommit" in effects.system_written,
        may_change_session=functions or kind is Kind.UNKNOWN,
        may_write=found.writes or writes or functions or "autocommit" in effects.system_written,
    )


def _set_statement(tokens: Tokens, dialect: Dialect) -> Statement:
    """MariaDB's SET STATEMENT variables FOR statement: the inner one, with those variables."""
    end = _top_level(tokens, "FOR")
    if end is None or is_word(tokens, end + 1, "SET"):
        return unknown(tokens, dialect, "SET STATEMENT without FOR and a statement")
    inner = classify_tokens(tokens[end + 1 :], dialect)
    effects = Effects()
    walk(tokens[2:end], dialect, effects)
    if effects.kind is not _READ or effects.functions:
        return unknown(tokens, dialect, f"SET STATEMENT: {effects.reason}")
    return inner._replace(
        reason=inner.reason.reworded(f"SET STATEMENT ... FOR {inner.reason}"),
        user_variables_read=inner.user_variables_read | effects.user_read,
        system_variables_read=inner.system_variables_read | effects.system_read,
        system_variables_lent=inner.system_variables_lent | _assigned(tokens[2:end]),
    )


def _assigned(tokens: Tokens) -> frozenset[str]:
    """The names that stand before an `=`."""
    return frozenset(
        name.text.lower()
        for name, sign in pairwise(tokens)
        if name.kind in (WORD, NAME) and sign.text in ("=", ":=")
    )


def _top_level(tokens: Tokens, word: str) -> int | None:
    """Where a word stands outside all parentheses."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind == OP:
            depth += (token.text == "(") - (token.text == ")")
        elif depth == 0 and is_word(tokens, index, word):
            return index
    return None


def _use(tokens: Tokens, dialect: Dialect) -> Statement:
    if len(tokens) != 2 or tokens[1].kind not in (WORD, NAME):
        return unknown(tokens, dialect, "USE of what is not understood")
    token = tokens[1]
    name = token.raw if token.kind == WORD else token.text
    reason = because(Kind.SESSION, "USE changes the schema")
    return Statement(Kind.SESSION, reason, "USE", databases=(name,))


def _prepare(tokens: Tokens, dialect: Dialect) -> Statement:
    name = tokens[1] if len(tokens) > 1 else None
    if name is None or name.kind not in (WORD, NAME) or not is_word(tokens, 2, "FROM"):
        return unknown(tokens, dialect, "PREPARE of what is not understood")
    effects = Effects()
    walk(tokens[3:], dialect, effects)
    return build(
        effects,
        "PREPARE",
        kind=Kind.SESSION,
        reason="PREPARE keeps a statement on the connection",
        name=(name.raw if name.kind == WORD else name.text).lower(),
    )


def _execute(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    walk(tokens[2:], dialect, effects, query=False)
    immediate = is_word(tokens, 1, "IMMEDIATE")
    name = None
    if not immediate and len(tokens) > 1:
        name = (tokens[1].raw if tokens[1].kind == WORD else tokens[1].text).lower()
        effects.depends.add("prepared")
    return build(
        effects,
        "EXECUTE IMMEDIATE" if immediate else "EXECUTE",
        kind=_WRITE,
        reason="EXECUTE runs a text that may do anything",
        name=name,
        may_change_session=True,
    )


def _deallocate(tokens: Tokens, dialect: Dialect) -> Statement:
    last = tokens[-1]
    name = (last.raw if last.kind == WORD else last.text).lower()
    reason = because(Kind.SESSION, "DEALLOCATE drops a prepared statement")
    return Statement(Kind.SESSION, reason, "DEALLOCATE PREPARE", name=name)


def _diagnostics(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    walk(tokens, dialect, effects, query=False)
    effects.user_written |= effects.user_read
    said = words_of(tokens)
    if "ROW_COUNT" in said:
        effects.depends.add("row_count")
    if "NUMBER" in said or "CONDITION" in said or "ROW_COUNT" not in said:
        effects.depends.add("warnings")
    return build(
        effects,
        "GET DIAGNOSTICS",
        kind=Kind.FOLLOW_READ,
        reason="GET DIAGNOSTICS is about the statement before",
    )


def _show(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    verb = show(tokens, dialect, effects)
    return build(effects, verb)


def _drop(tokens: Tokens, dialect: Dialect) -> Statement:
    if is_word(tokens, 1, "PREPARE"):
        return _deallocate(tokens, dialect)
    return definition(tokens, dialect)


Rule = Callable[[Tokens, Dialect], Statement]

# A verb's rule: a function, or what is true of it beside that it writes.
_VERBS: dict[str, Rule | str] = {
    **dict.fromkeys(_QUERY_VERBS, _query),
    **dict.fromkeys(_DML_VERBS, "writes"),
    **dict.fromkeys(("EXPLAIN", "DESCRIBE", "DESC"), _explain),
    **dict.fromkeys(("CREATE", "ALTER", "RENAME", "TRUNCATE"), definition),
    **dict.fromkeys(("OPTIMIZE", "REPAIR", "CHECK"), tables_write),
    **dict.fromkeys(("COMMIT", "ROLLBACK"), end),
    **dict.fromkeys(("SAVEPOINT", "RELEASE"), savepoint),
    **dict.fromkeys(("IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR", "DECLARE"), block),
    **dict.fromkeys(words("GRANT REVOKE RESET PURGE CHANGE STOP"), "commits"),
    **dict.fromkeys(words("INSTALL UNINSTALL SHUTDOWN RESTART CLONE CACHE"), "commits"),
    **dict.fromkeys(("KILL", "BINLOG", "IMPORT", "SIGNAL", "RESIGNAL"), "writes"),
    "ANALYZE": _analyze,
    "BACKUP": backup,
    "BEGIN": begin,
    "CALL": call,
    "CHECKSUM": _checksum,
    "DEALLOCATE": _deallocate,
    "DO": _do,
    "DROP": _drop,
    "EXECUTE": _execute,
    "FLUSH": flush,
    "GET": _diagnostics,
    "HANDLER": handler,
    "HELP": _help,
    "LOAD": load,
    "LOCK": lock,
    "PREPARE": _prepare,
    "SET": _set,
    "SHOW": _show,
    "START": _start,
    "UNLOCK": unlock,
    "USE": _use,
    "XA": xa,
}
