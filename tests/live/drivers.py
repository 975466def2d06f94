"""The drivers whose connections are wrapped, as tests use them.

mysqlclient and mysql-connector-python as modules, and PyMySQL's own connections as a function makes
them.
"""

from functools import partial
from types import SimpleNamespace

import mysql.connector
import mysql.connector.cursor
import MySQLdb
import MySQLdb.connections
import MySQLdb.cursors
import pymysql
import pymysql.cursors
from pymysql.constants import CLIENT

import rwsplit
from rwsplit._core.wire import Capability
from rwsplit._drivers.foreign.native import native_of

__all__ = ["DRIVERS", "OfConnector", "OfMySQLClient", "OfPyMySQL", "Shaped"]


class Told(MySQLdb.connections.Connection):
    """mysqlclient alone, with the status that its library knows."""

    @property
    def server_status(self):
        return native_of(MySQLdb._mysql, self).status()

    @server_status.setter
    def server_status(self, value):
        pass


class OfMySQLClient:
    name = "mysqlclient"
    module = MySQLdb
    cursors = MySQLdb.cursors
    own_class = MySQLdb.connections.Connection
    lacks = Capability.TRACKS_READS | Capability.HANDS_OVER
    closed = MySQLdb.OperationalError, (2006, "")
    password_is_told = False
    alone = Told
    shows_status = False
    deadlock = lost = MySQLdb.OperationalError
    same = ("encoding", "get_server_info", "thread_id")
    out_of_sync = MySQLdb.ProgrammingError, 2014
    drops_streams = True

    @staticmethod
    def connect(options, **overrides):
        return MySQLdb.connect(**{**options, **overrides})

    @staticmethod
    def connector(options, replicas, own):
        """A function without parameters that makes virtual connections."""
        return partial(rwsplit.wrap(MySQLdb, replicas=replicas, **own).connect, **options)

    @staticmethod
    def shaped(connection):
        return connection

    @classmethod
    def wrap(cls, options, replicas, own):
        return cls.connector(options, replicas, own)()


class OfPyMySQL:
    name = "PyMySQL"
    module = pymysql
    cursors = pymysql.cursors
    own_class = pymysql.Connection
    lacks = Capability.TRACKS_READS | Capability.HANDS_OVER
    closed = pymysql.InterfaceError, (0, "")
    password_is_told = True
    alone = pymysql.connect
    shows_status = True
    deadlock = lost = pymysql.OperationalError
    same = ("encoding", "get_server_info", "thread_id")
    out_of_sync = None
    drops_streams = True

    class Own(pymysql.Connection):
        """An application's own class."""

    @classmethod
    def connect(cls, options, **overrides):
        flags = CLIENT.SESSION_TRACK | CLIENT.MULTI_STATEMENTS
        return cls.Own(**{**options, "client_flag": flags, **overrides})

    @classmethod
    def connector(cls, options, replicas, own):
        """A function without parameters that makes virtual connections."""

        def make(endpoint):
            return cls.connect(options, host=endpoint.host, port=endpoint.port)

        primary = f"{options['host']}:{options['port']}"
        return rwsplit.wrap(make, primary=primary, replicas=replicas, **own)

    @staticmethod
    def shaped(connection):
        return connection

    @classmethod
    def wrap(cls, options, replicas, own):
        return cls.connector(options, replicas, own)()


class Shaped:
    """A connection of mysql-connector-python, its own or a virtual one, by the tests' names."""

    def __init__(self, own):
        self.own = own

    def __getattr__(self, name):
        return getattr(self.own, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def cursor(self, cls=None):
        if cls is None or cls is StreamingCursor:
            return ShapedCursor(self.own.cursor(buffered=cls is None))
        return ShapedCursor(self.own.cursor(cursor_class=cls))

    def query(self, sql):
        self.own.cmd_query(sql)

    def begin(self):
        self.own.cmd_query("BEGIN")

    def autocommit(self, value):
        self.own.autocommit = value

    def select_db(self, name):
        self.own.cmd_init_db(name)

    def set_character_set(self, charset, collation=None):
        self.own.set_charset_collation(charset, collation)

    def show_warnings(self):
        cursor = self.cursor()
        cursor.execute("SHOW WARNINGS")
        return cursor.fetchall()

    def thread_id(self):
        return self.own.connection_id

    def affected_rows(self):
        """Its cursors alone know."""

    def insert_id(self):
        """Its cursors alone know."""

    @property
    def server_status(self):
        return self.own.server_status

    @server_status.setter
    def server_status(self, value):
        self.own.server_status = value


class StreamingCursor:
    """Asks for one whose rows are left with the server."""


class ShapedCursor:
    """A cursor of mysql-connector-python's by the tests' names."""

    def __init__(self, own):
        self.own = own

    def __getattr__(self, name):
        return getattr(self.own, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def callproc(self, name, args):
        self.execute(f"CALL {name}({', '.join(['%s'] * len(args))})", args)

    def fetchall(self):
        return () if self.own.description is None else tuple(self.own.fetchall())

    def nextset(self):
        return self.own.nextset()

    def close(self):
        if self.own._have_unread_result():
            self.own.fetchall()
        self.own.close()


class ToldByConnector(mysql.connector.MySQLConnection):
    """mysql-connector-python alone, with the status that it is told."""

    server_status = 2

    def _handle_server_status(self, flags):
        self.server_status = flags
        super()._handle_server_status(flags)

    def is_connected(self):
        """Its `cursor()` pings, which ROW_COUNT() tells behind it; rwsplit's does not."""
        return True

    def get_autocommit(self):
        return bool(self.server_status & 2)


class OfConnector:
    name = "connector"
    module = mysql.connector
    cursors = SimpleNamespace(
        DictCursor=mysql.connector.cursor.MySQLCursorBufferedDict, SSCursor=StreamingCursor
    )
    own_class = mysql.connector.MySQLConnection
    lacks = Capability.TRACKS_READS | Capability.HANDS_OVER
    closed = mysql.connector.OperationalError, (-1, "MySQL Connection not available", None)
    password_is_told = True
    shows_status = True
    deadlock = mysql.connector.InternalError
    lost = mysql.connector.Error
    same = ("charset", "python_charset", "server_info", "connection_id")
    out_of_sync = mysql.connector.InternalError, -1
    drops_streams = False

    @staticmethod
    def alone(**options):
        return Shaped(ToldByConnector(**options))

    @staticmethod
    def connect(options, **overrides):
        tracks = mysql.connector.ClientFlag.SESSION_TRACK
        given = {"use_pure": True, "client_flags": [tracks], **options, **overrides}
        return mysql.connector.connect(**given)

    @staticmethod
    def connector(options, replicas, own):
        """A function without parameters that makes virtual connections."""
        connect = rwsplit.wrap(mysql.connector, replicas=replicas, **own).connect
        return lambda: Shaped(connect(**options))

    @staticmethod
    def shaped(connection):
        return Shaped(connection)

    @classmethod
    def wrap(cls, options, replicas, own):
        return cls.connector(options, replicas, own)()


DRIVERS = [OfMySQLClient, OfPyMySQL, OfConnector]
