"""Settings for Django's own tests; `RWSPLIT_SUITE` holds what differs, as JSON.

Where reads went is counted in this process, and written when it ends.
"""

import atexit
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import django

import rwsplit

SUITE = json.loads(os.environ["RWSPLIT_SUITE"])
ROLES: Counter[str] = Counter()
CAUSES: Counter[str] = Counter()

if SUITE["driver"] == "pymysql":  # the same tests over plain PyMySQL
    import pymysql

    pymysql.install_as_MySQLdb()
elif SUITE["driver"] == "mysqlclient, wrapped":
    import MySQLdb
    from django.db.backends.mysql import base

    base.Database = rwsplit.wrap(MySQLdb, replicas=SUITE["replicas"])


def database(name):
    return {
        "ENGINE": SUITE["engine"],
        "NAME": name,
        "USER": "app",
        "PASSWORD": "secret",
        "HOST": SUITE["host"],
        "PORT": SUITE["port"],
        "OPTIONS": SUITE["options"],
        "TEST": {"CHARSET": "utf8mb4"},
    }


DATABASES = {"default": database("suite"), "other": database("suite_other")}
SECRET_KEY = "for the tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if django.VERSION < (6,):
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False

counted: Any = rwsplit.Connection
if SUITE["driver"].startswith("mysqlclient"):
    from rwsplit._shell import wrapped

    counted = wrapped.WrappedConnection
_query = counted.query


def query(self, sql, unbuffered=False):
    rows = _query(self, sql, unbuffered)
    start = sql[:8] if isinstance(sql, str) else bytes(sql[:8]).decode("latin-1")
    route = self.route
    if start.lstrip().upper().startswith(("SELECT", "SHOW", "DESC", "WITH")):
        ROLES[route.role] += 1
        if route.role == "primary":
            CAUSES[route.cause] += 1
    return rows


counted.query = query


@atexit.register
def tell():
    Path(SUITE["counts"]).write_text(json.dumps([ROLES, CAUSES]))
