"""The laws hold for wrapped drivers, too: a program gives what it gives on the driver alone.

Each at reduced length: a driver shares the flows with PyMySQL, and differs in what it tells.
"""

import contextlib

import MySQLdb
import MySQLdb.connections
import MySQLdb.cursors

import rwsplit
from rwsplit._drivers.foreign.native import native_of

from . import test_lockstep as lockstep
from . import test_session_state as state

pair = state.pair
stage = lockstep.stage


class Plain(MySQLdb.connections.Connection):
    """mysqlclient alone, with the status that its library knows."""

    @property
    def server_status(self):
        return native_of(MySQLdb._mysql, self).status()

    @server_status.setter
    def server_status(self, value):
        pass


def plain(options, **more):
    """A connection of the driver alone."""
    return Plain(**{**{k: options[k] for k in options if k != "replicas"}, **more})


def wrapped(options, own=(), **more):
    """A virtual connection over it."""
    keywords = {**{k: options[k] for k in options if k != "replicas"}, **more}
    return rwsplit.wrap(MySQLdb, replicas=options["replicas"], **dict(own)).connect(**keywords)


class Run(lockstep.Run):
    """A program on both sides, over mysqlclient."""

    def __init__(self, stage, given):
        super().__init__(stage, given)
        super().close()
        given = {**given}
        self._is_global = given.get("consistency") == "global"
        autocommit = given.pop("autocommit")
        options = stage.cluster.connect_options
        self.plain = plain(options, database=lockstep.PLAIN, autocommit=autocommit)
        self.ours = wrapped(options, given, database=lockstep.OURS, autocommit=autocommit)
        self.ours.cluster.habits.clear()

    def close(self):
        for connection in (self.plain, self.ours):
            with contextlib.suppress(MySQLdb.Error):
                connection.close()

    def _perform(self, conn, schema, step):
        return lockstep.perform(conn, schema, step, MySQLdb.Error, MySQLdb.cursors.SSCursor)

    def _was_told(self, answer):
        return False  # mysqlclient shows applications no status bits


def test_a_program_gives_what_it_gives_on_one_server(stage):
    lockstep.search(stage, lockstep.SECONDS / 2, runs=Run)


def test_a_program_sees_what_it_sees_on_one_server(pair):
    def connect(cluster, single):
        ours = wrapped(cluster.connect_options, {"max_wait": 5.0}, autocommit=True)
        alone = plain({**single.connect_options, "replicas": ()}, autocommit=True)
        return ours, alone, MySQLdb.Error

    state.search(pair, connect)
