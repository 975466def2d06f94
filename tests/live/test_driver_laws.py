"""The laws hold for wrapped drivers, too: a program gives what it gives on the driver alone.

Each at reduced length: a driver shares the flows with PyMySQL, and differs in what it tells.
"""

import contextlib

import MySQLdb
import MySQLdb.cursors

import rwsplit
from rwsplit._drivers.foreign.native import native_of

from . import test_lockstep as lockstep
from . import test_session_state as state
from .lockstep import IN_TRANSACTION
from .lockstep import options as lockstep_options

pair = state.pair
stage = lockstep.stage
BOTH = IN_TRANSACTION | lockstep.AUTOCOMMIT


def plain(options, **more):
    """A connection of the driver alone."""
    return MySQLdb.connect(**{**{k: options[k] for k in options if k != "replicas"}, **more})


def wrapped(options, own=(), **more):
    """A virtual connection over it."""
    keywords = {**{k: options[k] for k in options if k != "replicas"}, **more}
    return rwsplit.wrap(MySQLdb, replicas=options["replicas"], **dict(own)).connect(**keywords)


class Run(lockstep.Run):
    """A program on both sides, over mysqlclient: transactions run on the primary, whole."""

    def __init__(self, stage, given):
        super().__init__(stage, given)
        super().close()
        given = {**given}
        self._is_global = given.get("consistency") == "global"
        autocommit = given.pop("autocommit")
        options = stage.cluster.connect_options
        self.plain = plain(options, database=lockstep.PLAIN, autocommit=autocommit)
        self._native = native_of(MySQLdb._mysql, self.plain)
        self.ours = wrapped(options, given, database=lockstep.OURS, autocommit=autocommit)
        self.ran = []

    def close(self):
        for connection in (self.plain, self.ours):
            with contextlib.suppress(MySQLdb.Error):
                connection.close()

    def _compare(self, step):
        kind = MySQLdb.Error, MySQLdb.cursors.SSCursor
        found = lockstep.perform(self.ours, lockstep.OURS, step, *kind)
        if "TABLE made" in step:
            self._stage.made |= {(lockstep.PLAIN, "made"), (lockstep.OURS, "made")}
        expected = lockstep.perform(self.plain, lockstep.PLAIN, step, *kind)
        self._note(step, found, expected)
        is_refused = found[:2] == ("NotSupportedError", 1235)
        follows_refused = self._refused and lockstep._OF_RESULT.search(step) is not None
        is_vague = is_refused or follows_refused or self._is_vague(step)
        self._refused = is_refused or follows_refused
        if found != expected and not is_vague:
            raise lockstep.Difference(f"{step}: {found} is not {expected} ({self.ours.route})")
        if self.ours.open and not lockstep._is_error(expected):
            self._compare_status(step)
        if "warnings" in step.lower() or self._failed:
            self._vague = self._failed or self._vague
        self._failed = self._stage.flavor == "mariadb" and lockstep._is_error(expected)

    def _compare_status(self, step):
        mine, theirs = self.ours.server_status & BOTH, self._native.status() & BOTH
        if mine != theirs:
            raise lockstep.Difference(f"{step}: status {mine} is not {theirs}")


def some_options():
    """As for PyMySQL, but for what is about transactions on replicas."""
    return lockstep_options().map(
        lambda given: {key: given[key] for key in given if key != "transactions"}
    )


def test_a_program_gives_what_it_gives_on_one_server(stage):
    lockstep.search(stage, lockstep.SECONDS / 2, runs=Run, given_options=some_options())


def test_a_program_sees_what_it_sees_on_one_server(pair):
    def connect(cluster, single):
        ours = wrapped(cluster.connect_options, {"max_wait": 5.0}, autocommit=True)
        alone = plain({**single.connect_options, "replicas": ()}, autocommit=True)
        return ours, alone, MySQLdb.Error

    state.search(pair, connect)
