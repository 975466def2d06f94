"""The laws hold for wrapped drivers, too: a program gives what it gives on the driver alone.

Each at reduced length: a driver shares the flows with PyMySQL, and differs in what it tells.
"""

import contextlib
from functools import partial

import pytest

from . import test_lockstep as lockstep
from . import test_session_state as state
from .drivers import DRIVERS

pair = state.pair
stage = lockstep.stage


@pytest.fixture(params=DRIVERS, ids=lambda each: each.name)
def driver(request):
    return request.param


def plain(driver, options, **more):
    """A connection of the driver alone."""
    return driver.alone(**{**{k: options[k] for k in options if k != "replicas"}, **more})


def wrapped(driver, options, own=(), **more):
    """A virtual connection over it."""
    keywords = {**{k: options[k] for k in options if k != "replicas"}, **more}
    return driver.wrap(keywords, options["replicas"], dict(own))


class Run(lockstep.Run):
    """A program on both sides, over a driver."""

    def __init__(self, driver, stage, given):
        super().__init__(stage, given)
        super().close()
        self._driver = driver
        given = {**given}
        self._is_global = given.get("consistency") == "global"
        autocommit = given.pop("autocommit")
        options = stage.cluster.connect_options
        self.plain = plain(driver, options, database=lockstep.PLAIN, autocommit=autocommit)
        self.ours = wrapped(driver, options, given, database=lockstep.OURS, autocommit=autocommit)
        self.ours.cluster.habits.clear()

    def close(self):
        for connection in (self.plain, self.ours):
            with contextlib.suppress(self._driver.module.Error):
                connection.close()

    def _perform(self, conn, schema, step):
        driver = self._driver
        seen = lockstep.perform(conn, schema, step, driver.module.Error, driver.cursors.SSCursor)
        if seen[:2] == (driver.deadlock.__name__, lockstep.DEADLOCK):
            return "OperationalError", *seen[1:]
        return seen

    def _was_told(self, answer):
        # One that fails amid its rows tells the connector what stands behind its columns.
        is_told = self._driver.shows_status and not lockstep._is_error(answer)
        return is_told and super()._was_told(answer)


def test_a_program_gives_what_it_gives_on_one_server(driver, stage):
    lockstep.search(stage, lockstep.SECONDS / 2, runs=partial(Run, driver))


@pytest.mark.parametrize(
    "failing",
    [
        "INSERT INTO t VALUES (1, 1)",
        "INSERT INTO t SELECT 1, SLEEP(0)",
        "CREATE TABLE t (id INT)",
        "DROP TABLE nosuch",
    ],
)
@pytest.mark.parametrize("before", [[], ["SELECT v FROM t"]], ids=["", "behind a read"])
@pytest.mark.parametrize("then", ["SELECT FOUND_ROWS()", "conn.ping()", "conn.select_db()"])
def test_an_answer_behind_an_error_tells_of_the_transaction(driver, stage, before, failing, then):
    program = [*before, failing, then, "SELECT 1", "COMMIT"]
    lockstep.check(stage, {"autocommit": False}, program, partial(Run, driver))


def test_a_program_sees_what_it_sees_on_one_server(driver, pair):
    def connect(cluster, single):
        ours = wrapped(driver, cluster.connect_options, {"max_wait": 5.0}, autocommit=True)
        alone = plain(driver, {**single.connect_options, "replicas": ()}, autocommit=True)
        return ours, alone, driver.module.Error

    state.search(pair, connect, state.SECONDS / 2)
