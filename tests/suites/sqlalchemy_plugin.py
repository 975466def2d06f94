"""A pytest plugin: engines on PyMySQL are made with `module=rwsplit`, as docs/drop-in.md shows.

`RWSPLIT_SUITE` holds the connect arguments, as JSON.
"""

import json
import os
from collections import Counter

import sqlalchemy

import rwsplit

ARGUMENTS = json.loads(os.environ["RWSPLIT_SUITE"])
_create_engine = sqlalchemy.create_engine


def create_engine(url, **options):
    made = sqlalchemy.make_url(url)
    on_pymysql = made.get_backend_name() in ("mysql", "mariadb") and "+pymysql" in made.drivername
    if on_pymysql and not {"module", "creator", "strategy"} & options.keys():
        options["module"] = rwsplit
        options["connect_args"] = {**ARGUMENTS, **options.get("connect_args", {})}
    return _create_engine(made, **options)


sqlalchemy.create_engine = create_engine


ROLES: Counter[str] = Counter()


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "after_cursor_execute")
def count(connection, cursor, statement, parameters, context, many):
    route = getattr(cursor, "route", None)
    if route is not None and statement.lstrip().upper().startswith(("SELECT", "SHOW", "DESC")):
        ROLES[route.role] += 1


def pytest_terminal_summary(terminalreporter):
    told = ", ".join(f"{count} on the {role}" for role, count in ROLES.most_common())
    terminalreporter.write_line(f"SELECT, SHOW and DESCRIBE: {told}")
