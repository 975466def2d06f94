"""What a session on a model's server knows of itself, and tells where rwsplit asks."""

from __future__ import annotations

import re

from rwsplit._core.flavors.positions import POSITION_SQL, READ_ONLY_SQL, SHOWN_SQL

from .replies import Changes, Field, Reply
from .server import Server

__all__ = ["QUESTIONS", "SHOWN", "Variables", "begun_with"]

SHOWN = ("group_concat_max_len",)
"""System variables that the simulated applications set."""
_ITEM = re.compile(
    r"(?:@@SESSION\.|@@|SESSION )?`?(\w+)`?\s*=\s*(?:@@SESSION\.`?(\w+)`?|'([^']*)'|([\w.-]+))|"
    r"@`?(\w+)`?\s*:?=\s*(\w+)"
)
_COLUMN = re.compile(r"@@SESSION\.`?(\w+)`?")
_USER = re.compile(r"@`(\w+)`,")
_OF_TRANSACTIONS = {
    "mysql": ("transaction_isolation", "transaction_read_only"),
    "mariadb": ("tx_isolation", "tx_read_only"),
}


def begun_with(flavor: str) -> dict[str, str]:
    """Return the variables that a session begins with."""
    level, only = _OF_TRANSACTIONS[flavor]
    return {
        "sql_mode": "",
        "time_zone": "SYSTEM",
        "group_concat_max_len": "1024",
        "collation_connection": "utf8mb4_bin",
        level: "REPEATABLE-READ",
        only: "OFF",
        "completion_type": "NO_CHAIN",
    }


class Variables:
    """What is set in a session."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.tracks = ""
        """What is told behind each statement: `own` changes, `all` GTIDs of a replica, or none."""
        self.session_reads_only = False
        self.autocommit = True
        self.next_level = ""
        """What was said of the level of the next transaction; `next_access` likewise."""
        self.next_access = ""
        self.schema = "shop"
        self.variables = begun_with(server.flavor)
        self.users: dict[str, int] = {}
        self.level_name, _ = _OF_TRANSACTIONS[server.flavor]
        # As rwsplit leaves them when it has connected.
        self.rows_found, self.rows_changed = int(server.flavor == "mariadb"), 0
        self.warnings: list[tuple[str, int, bytes]] = []
        """By level, number and text, what the statement before has left."""

    @property
    def level(self) -> str:
        """The isolation level of the transaction, or of the next one."""
        if self.next_level:
            return self.next_level[:-1].partition("LEVEL ")[2].replace(" ", "-")
        return self.variables[self.level_name]

    @property
    def reads_only(self) -> bool:
        """Whether the next transaction is READ ONLY."""
        return "ONLY" in self.next_access if self.next_access else self.session_reads_only

    def shown(self) -> dict[str, str]:
        """Return what the application may have set."""
        found = {f"@{name}": str(value) for name, value in self.users.items()}
        found["schema"] = self.schema
        for name in SHOWN:
            found[name] = self.variables[name]
        return found

    def set_variable(self, name: str, value: str, changes: Changes) -> None:
        """Set a system variable."""
        if not name.startswith("session_track_"):
            self.variables[name] = value
            changes.variables.append((name, value))

    def assign(self, assignments: str, changes: Changes) -> None:
        """Set what a SET says."""
        for found in _ITEM.finditer(assignments):
            name, same, text, word, user, number = found.groups()
            if user is not None:
                self.users.pop(user, None)
                if number != "NULL":
                    self.users[user] = int(number)
                changes.is_other = True
            else:
                value = self.variables.get(same or "") if same else text
                self.set_variable(name, word if value is None else value, changes)

    # What is asked.

    def ask_counts(self) -> Reply:
        """Tell FOUND_ROWS() and ROW_COUNT()."""
        return self._one(self.rows_found, self.rows_changed)

    def ask_count(self, which: str) -> Reply:
        """Tell one of them."""
        found = self.rows_found if which.upper() == "FOUND_ROWS" else self.rows_changed
        return self._one(found)

    def tell(self, number: str) -> Reply:
        """Tell what rwsplit has put into the question."""
        return self._one(int(number))

    def ask_warnings(self) -> Reply:
        """Tell how many warnings there are."""
        return self._one(len(self.warnings), sum(each[0] == "Error" for each in self.warnings))

    def show_warnings(self) -> Reply:
        """Show them."""
        self.rows_changed = -1
        return Reply(tuple(self.warnings), (Field("Level"), Field("Code"), Field("Message")))

    def ping(self) -> Reply:
        """Answer, and leave all but ROW_COUNT() as it is."""
        self.rows_changed = 0
        return Reply()

    def do_nothing(self) -> Reply:
        """Do nothing."""
        self.rows_changed = 0
        if self.server.flavor == "mysql":
            self.rows_found = 1
        return Reply()

    def ask_position(self) -> Reply:
        """Tell where the server is, as it tells others of the cluster's replicas."""
        return self._one(self.server.told.text)

    def ask_whole_position(self) -> Reply:
        """Tell it with what is shown already, and not told of yet."""
        return self._one(self.server.whole())

    def ask_shown(self) -> Reply:
        """Tell all that is shown: MariaDB logs it first."""
        return self._one(self.server.shown.text)

    def ask_read_only(self) -> Reply:
        """Tell whether nobody may write here."""
        return self._one(str(int(not self.server.is_writable)))

    def ask_variables(self, columns: str) -> Reply:
        """Tell system variables."""
        names = _COLUMN.findall(columns)
        return self._one(*[self.variables.get(name, "") for name in names])

    def ask_changed(self) -> Reply:
        """Tell those that are not as the server has them, and more."""
        rows = tuple(self.variables.items())
        self._count(len(rows))
        return Reply(rows, (Field("name", 253), Field("value", 253)))

    def ask_users(self, columns: str) -> Reply:
        """Tell user variables."""
        values: list[object] = []
        fields: list[Field] = []
        for name in _USER.findall(columns):
            value = self.users.get(name)
            shown = None if value is None else str(value)
            digits = None if value is None else f"{value:X}"
            values += [shown, "binary", "binary", digits]
            fields += [Field(f"@{name}"), Field("c", 253), Field("c", 253), Field("h", 253)]
        self._count(1)
        return Reply((tuple(values),), tuple(fields))

    def ask_role(self) -> Reply:
        """Tell that there is none."""
        return self._one("NONE" if self.server.flavor == "mysql" else None)

    def ask_status(self, name: str) -> Reply:
        """Tell how many temporary tables were made: none."""
        self._count(1)
        return Reply(((name, "0"),), (Field("Variable_name", 253), Field("Value", 253)))

    def _one(self, *values: object) -> Reply:
        self._count(1)
        return Reply((values,), tuple([Field("?", 253)] * len(values)))

    def _count(self, found: int) -> None:
        self.rows_found, self.rows_changed = found, -1


QUESTIONS = (
    (re.escape(POSITION_SQL["primary"]["mysql"]), "ask_whole_position"),
    (re.escape(POSITION_SQL["primary"]["mariadb"]), "ask_whole_position"),
    (re.escape(SHOWN_SQL["mariadb"]), "ask_shown"),
    (re.escape(READ_ONLY_SQL), "ask_read_only"),
    (re.escape(POSITION_SQL["replica"]["mysql"]), "ask_position"),
    (re.escape(POSITION_SQL["replica"]["mariadb"]), "ask_position"),
    (r"SELECT FOUND_ROWS\(\),ROW_COUNT\(\) LIMIT 1", "ask_counts"),
    (r"SELECT (FOUND_ROWS|ROW_COUNT)\(\)", "ask_count"),
    (r"SELECT \((-?\d+)\+0\)", "tell"),
    (r"SELECT @@warning_count,@@error_count LIMIT 1", "ask_warnings"),
    (r"SHOW WARNINGS", "show_warnings"),
    (r"PING", "ping"),
    (r"DO 0", "do_nothing"),
    (r"SELECT ((?:CAST\(@@SESSION\.`?\w+`? AS BINARY\),?)+) LIMIT 1", "ask_variables"),
    (r"SELECT VARIABLE_NAME,CAST.*", "ask_changed"),
    (r"SELECT (@`\w+`,CAST\(CHARSET.*) FROM DUAL WHERE.*", "ask_users"),
    (r"SELECT CAST\(CURRENT_ROLE\(\).*", "ask_role"),
    (r"SHOW SESSION STATUS WHERE Variable_name='(\w+)'", "ask_status"),
)
"""What asks for it."""
