"""The drivers whose connections are wrapped, as tests use them.

mysqlclient as a module, and PyMySQL's own connections as a function makes them.
"""

from functools import partial

import MySQLdb
import MySQLdb.connections
import MySQLdb.cursors
import pymysql
import pymysql.cursors
from pymysql.constants import CLIENT

import rwsplit
from rwsplit._core.wire import Capability
from rwsplit._drivers.foreign.native import native_of

__all__ = ["DRIVERS", "OfMySQLClient", "OfPyMySQL"]


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

    @staticmethod
    def connect(options, **overrides):
        return MySQLdb.connect(**{**options, **overrides})

    @staticmethod
    def connector(options, replicas, own):
        """A function without parameters that makes virtual connections."""
        return partial(rwsplit.wrap(MySQLdb, replicas=replicas, **own).connect, **options)

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

    @classmethod
    def wrap(cls, options, replicas, own):
        return cls.connector(options, replicas, own)()


DRIVERS = [OfMySQLClient, OfPyMySQL]
