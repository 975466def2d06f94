"""The monitor: asks each server of a cluster how it is, while the cluster is in use.

One small query a server and interval, on a connection of the monitor's own, with the newest account
that connected. What it learns decides which replicas may be asked at all, and who is the primary;
the thread that runs a statement never looks for itself.
"""

from __future__ import annotations

import threading
from random import SystemRandom
from time import monotonic
from typing import Protocol

from .._core.cluster.endpoint import Endpoint
from .._core.cluster.position import parse_history, parse_position
from .._core.cluster.probe import Miss, Missed, Probe
from .._core.cluster.server import Server
from .._core.cluster.topology import Topology
from .._core.flavors.looks import ASK_PARITY, look_sql
from .._core.numbers import CON_COUNT
from .._core.setup.options import ClusterOptions
from .._core.sql.values import as_text
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection, lost
from .account import Account
from .forking import handshakes
from .log import logger, words
from .parity import Parity, filters_of
from .sharing import end_abandoned
from .watch import Watch

__all__ = ["Monitor"]

_dice = SystemRandom()  # the application's own dice are left as they are

_IDLE_SECONDS = 5.0
"""How long the monitor goes on asking after the last statement."""

_HURRY_SECONDS = 0.1
"""The interval while there is no primary, or a server that was lost is waited for."""


class Watched(Protocol):
    """The cluster, as its monitor sees it."""

    topology: Topology
    watch: Watch
    used: bool

    def look_for_replicas(self, connection: PhysicalConnection) -> None:
        """Find the replicas that there are now."""

    def is_in_use(self) -> bool:
        """Tell whether a virtual connection is open."""


class _Line:
    """The monitor's connection to one server."""

    def __init__(self) -> None:
        self.connection: PhysicalConnection | None = None
        self.compared = False
        self.failures = 0
        """How many looks in a row have failed."""
        self._let_in: Account | None = None

    def connect(self, account: Account, endpoint: Endpoint) -> PhysicalConnection:
        """Connect with an account; where that one is not let in, with the last one that was."""
        self.compared = False
        try:
            connection = _connect(account, endpoint)
        except (err.MySQLError, RuntimeError, OSError) as error:
            known = self._let_in
            if known is None or known is account or lost(error):
                raise
            return _connect(known, endpoint)
        self._let_in = account
        return connection

    def drop(self) -> None:
        if self.connection is not None and not self.connection.is_closed:
            self.connection.close()
        self.connection = None


class Monitor:
    """Looks at the servers of one cluster, each in a thread of its own: none delays another."""

    def __init__(self, cluster: Watched, options: ClusterOptions) -> None:
        self.interval = options.monitor_interval or 1.0
        """Seconds between two looks at a server."""
        self._intervals = {
            name: each.monitor_interval
            for name, each in (options.groups or {}).items()
            if each.monitor_interval
        }
        """The same by group, for those that have one of their own."""
        self.account: Account | None = None
        """The newest that connected to the primary."""
        self._cluster = cluster
        self._topology = cluster.topology
        self._threads: dict[str, threading.Thread] = {}
        self._change = threading.Condition()
        self._round = 0
        """Goes up when all are to be looked at now."""
        self._last_used = monotonic()

    def interval_of(self, endpoint: Endpoint) -> float:
        """Return how many seconds lie between two looks at a server."""
        return self._intervals.get(endpoint.group or "", self.interval)

    def watch(self) -> None:
        """See to it that all servers are looked at; cheap where they are already."""
        servers = self._topology.servers
        if self.account is None or len(self._threads) == len(servers):
            return
        with self._change:
            for name, server in servers.items():
                thread = self._threads.get(name)
                if thread is None and not server.is_gone:
                    thread = threading.Thread(target=self._run, args=(server,), daemon=True)
                    thread.name = f"rwsplit-monitor {name}"
                    self._threads[name] = thread
                    thread.start()

    def look_now(self) -> None:
        """Let all servers be looked at without waiting for their turn."""
        self._last_used = monotonic()
        self.watch()
        with self._change:
            self._round += 1
            self._change.notify_all()

    def stop(self) -> None:
        """Look no more, until `watch`."""
        self.account = None
        with self._change:
            self._round += 1
            self._change.notify_all()

    def after_fork(self) -> None:
        """Forget the threads, which stayed in the parent."""
        self._threads = {}
        self._change = threading.Condition()

    def _is_idle(self) -> bool:
        cluster = self._cluster
        if cluster.used:
            cluster.used = False
            self._last_used = monotonic()
        return monotonic() - self._last_used > max(_IDLE_SECONDS, 3 * self.interval)

    def _run(self, server: Server) -> None:
        line = _Line()
        try:
            while not server.is_gone:
                seen = self._round
                idle = self._is_idle()
                if self.account is None or (idle and not self._cluster.is_in_use()):
                    return
                end_abandoned()
                if not idle:
                    try:
                        self._look(server, line, self.account)
                    except Exception:
                        # A server that nobody looks at any more would be worse.
                        logger.exception("the monitor failed to look at %s", server.endpoint.name)
                        line.drop()
                self._wait(server, seen, line.failures)
        finally:
            line.drop()
            with self._change:
                if self._threads.get(server.endpoint.name) is threading.current_thread():
                    del self._threads[server.endpoint.name]

    def _look(self, server: Server, line: _Line, account: Account) -> None:
        # What others learn of it meanwhile it need not have had when it was asked.
        before = server.floor or server.position
        try:
            if line.connection is None:
                line.connection = line.connect(account, server.endpoint)
            probe = _ask(server, line.connection, self._topology)
        except (err.MySQLError, ValueError, RuntimeError, OSError) as error:
            line.failures += 1
            line.drop()
            self._cluster.watch.note_missed(server, _missed(error, line.failures))
            return
        line.failures = 0
        self._cluster.watch.note_probe(server, probe, before, self.interval_of(server.endpoint))
        if not (line.compared or server.unfit):
            line.compared = self._compare(server, line.connection)
        if server.endpoint is self._topology.primary and not probe.is_writable:
            # Its name may lead to another server by now.
            line.drop()
        elif server.endpoint is self._topology.primary:
            self._cluster.look_for_replicas(line.connection)
            self.watch()

    def _wait(self, server: Server, seen: int, failures: int) -> None:
        pause = self.interval_of(server.endpoint)
        if failures or not self._topology.primary_is_up:
            pause = min(pause, _HURRY_SECONDS * 2 ** min(failures // 4, 10))
        pause *= _dice.uniform(0.8, 1.1)  # processes are not to ask all at once
        with self._change:
            self._change.wait_for(lambda: self._round != seen, pause)

    def _compare(self, server: Server, connection: PhysicalConnection) -> bool:
        """Note what a server has set that changes answers; warn where members differ."""
        try:
            replies = connection.ask_all(ASK_PARITY[connection.flavor])
        except err.MySQLError:
            return False
        settings = replies[0]
        if isinstance(settings, err.MySQLError):
            return True
        parity = Parity.of(connection.flavor, settings.rows[0])
        self._cluster.watch.note_parity(server, parity, filters_of(connection.flavor, replies))
        return True


def _connect(account: Account, endpoint: Endpoint) -> PhysicalConnection:
    connection = account.connection(None, account.probe_options(endpoint))
    with handshakes:
        connection.connect()
    return connection


def _missed(error: Exception, in_a_row: int) -> Missed:
    """Tell why a look at a server told nothing."""
    if error.args and error.args[0] == CON_COUNT:
        why = Miss.FULL
    elif isinstance(error, ValueError):
        why = Miss.FOREIGN
    else:
        why = Miss.LOST if lost(error) else Miss.REFUSED
    text = str(error) if why is Miss.FOREIGN else words(error)
    return Missed(why, text, in_a_row, "timed out" in str(error))


def _ask(server: Server, connection: PhysicalConnection, topology: Topology) -> Probe:
    flavor = connection.flavor
    if flavor != topology.flavor:
        raise ValueError(f"it is a {flavor} server, and the primary is {topology.flavor}")
    sql = look_sql(flavor, "primary" if server.endpoint is topology.primary else "replica")
    asked_at = monotonic()
    name, read_only, position, history, slave, connected, running = connection.ask(sql)
    return Probe(
        as_text(name),
        as_text(read_only) in ("0", "OFF", ""),
        parse_position(flavor, position or ""),
        parse_history(flavor, history or ""),
        None if slave is None else as_text(slave).upper() == "ON",
        int(connected or 0),
        int(running or 0),
        asked_at,
        monotonic() - asked_at,
    )
