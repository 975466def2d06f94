"""A pytest plugin for SQLAlchemy's own tests: what goes by the driver's name, and the figures.

`RWSPLIT_SUITE` names a file for the figures, as JSON.
"""

import json
import os
import time
from collections import Counter
from pathlib import Path

from sqlalchemy.testing import exclusions

import rwsplit.sqlalchemy

READS = ("SELECT", "SHOW", "DESC")
ROLES: Counter[str] = Counter()
WHY: Counter[str] = Counter()

_holds = exclusions.SpecPredicate.__call__


def holds(self, config):
    """What is said of PyMySQL is said of rwsplit, whose cursors are PyMySQL's."""
    if _holds(self, config):
        return True
    if not self.db.endswith("+pymysql") or self.op is not None:
        return False
    ours = exclusions.SpecPredicate(self.db.replace("+pymysql", "+rwsplit"))
    return _holds(ours, config)


exclusions.SpecPredicate.__call__ = holds


def count(cursor, statement):
    """Where a statement ran; some tests clear all listeners, so this is in the dialect's place."""
    route = cursor.route
    if route is not None and statement.lstrip().upper().startswith(READS):
        ROLES[route.role] += 1
        if route.role == "primary":
            WHY[route.cause] += 1


rwsplit.sqlalchemy._log = count


def wrap_mysqlclient(replicas):
    """Let `mysql+mysqldb://` have mysqlclient wrapped."""
    import MySQLdb
    from sqlalchemy.dialects.mysql.mysqldb import MySQLDialect_mysqldb

    from rwsplit._shell.wrapped import WrappedConnection

    wrapped = rwsplit.wrap(MySQLdb, replicas=replicas)
    MySQLDialect_mysqldb.import_dbapi = classmethod(lambda cls: wrapped)
    query = WrappedConnection.query

    def counted(self, sql, unbuffered=False):
        query(self, sql, unbuffered)
        count(self, sql if isinstance(sql, str) else bytes(sql).decode("utf-8", "replace"))

    WrappedConnection.query = counted


if os.environ.get("RWSPLIT_WRAP"):
    wrap_mysqlclient(os.environ["RWSPLIT_WRAP"].split(","))


def pytest_collection_modifyitems(items):
    """Let the one test that asks for a cursor's kind by the driver's name know ours."""
    for item in items:
        for cls in getattr(item, "cls", None).__mro__ if getattr(item, "cls", None) else ():
            if "_is_server_side" in vars(cls) and "_is_ours" not in vars(cls):
                cls._is_ours = cls._is_server_side
                cls._is_server_side = is_server_side


def is_server_side(self, cursor):
    if self.engine.dialect.driver == "rwsplit":
        return isinstance(cursor, __import__("pymysql.cursors").cursors.SSCursor)
    return self._is_ours(cursor)


def pytest_sessionfinish():
    figures = {"cpu": time.process_time(), "roles": ROLES, "why": WHY}
    Path(os.environ["RWSPLIT_SUITE"]).write_text(json.dumps(figures))
