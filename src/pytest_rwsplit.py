"""Pytest's plugin: a primary and late replicas for an application's tests (docs/sandbox.md).

Pytest loads it wherever rwsplit is installed, so it imports nothing of rwsplit until a test wants a
fixture of it; that is why it is a module of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    import rwsplit
    from rwsplit.sandbox import Sandbox

FLAVORS = ("mysql", "mariadb")
_SETTINGS = {
    "flavor": "of the servers: mysql, mariadb, or both, which runs each test twice; unless said,"
    " that which is installed",
    "replicas": "how many replicas there are (2)",
    "lag": "by how many seconds the replicas are late (0)",
}
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option and a line of the ini file for each setting."""
    group = parser.getgroup("rwsplit", "rwsplit's servers")
    for name, what in _SETTINGS.items():
        group.addoption(f"--rwsplit-{name}", metavar=name.upper(), help=what)
        parser.addini(f"rwsplit_{name}", what)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and check what was set; raises UsageError."""
    config.addinivalue_line(
        "markers", "rwsplit(lag): by how many seconds the replicas of rwsplit_cluster are late"
    )
    _flavors(config)
    _replicas(config)
    _lag(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each flavor, if several are wanted."""
    flavors = _flavors(metafunc.config)
    if len(flavors) > 1 and "rwsplit_flavor" in metafunc.fixturenames:
        metafunc.parametrize("rwsplit_flavor", flavors, scope="session")


def _said(config: pytest.Config, name: str) -> tuple[str, str]:
    """Return where a setting is made, and what it is; an empty text if it is not."""
    given = config.getoption(f"--rwsplit-{name}")
    if given is not None:
        return f"--rwsplit-{name}", str(given)
    return f"rwsplit_{name}", str(config.getini(f"rwsplit_{name}") or "")


def _flavors(config: pytest.Config) -> list[str]:
    where, text = _said(config, "flavor")
    flavors = text.replace(",", " ").split()
    for flavor in flavors:
        if flavor not in FLAVORS:
            raise pytest.UsageError(f"{where}: expected mysql or mariadb, got {flavor!r}")
    return list(dict.fromkeys(flavors))


def _replicas(config: pytest.Config) -> int:
    where, text = _said(config, "replicas")
    if not text:
        return 2
    if not text.isdecimal() or int(text) > 20:
        raise pytest.UsageError(f"{where}: expected a number from 0 to 20, got {text!r}")
    return int(text)


def _lag(config: pytest.Config) -> float:
    where, text = _said(config, "lag")
    return _seconds(where, text) if text else 0.0


def _seconds(where: str, value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 3600:
        raise pytest.UsageError(f"{where}: expected seconds from 0 to 3600, got {value!r}")
    return seconds


class Servers:
    """The servers of a run; new ones after a test that has left the roles changed."""

    def __init__(self, flavor: str, replicas: int, options: dict[str, object]) -> None:
        self._flavor, self._replicas, self._options = flavor, replicas, options
        self._sandbox: Sandbox | None = None

    def get(self) -> Sandbox:
        """Return them, started when first wanted."""
        from rwsplit.sandbox import Sandbox, ServersNotFound  # noqa: PLC0415

        if self._sandbox is None:
            try:
                self._sandbox = Sandbox(
                    self._flavor, replicas=self._replicas, options=self._options
                )
            except ServersNotFound as error:
                raise pytest.fail.Exception(str(error), pytrace=False) from None
        return self._sandbox

    def mend(self) -> None:
        """Undo what a test did to them."""
        sandbox = self._sandbox
        if sandbox is None:
            return
        if sandbox.primary.name != "primary" or len(sandbox.servers) != 1 + self._replicas:
            self.close()
        elif not sandbox.healthy(late=True):
            sandbox.heal()

    def close(self) -> None:
        """End them."""
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            sandbox.close()


@pytest.fixture(scope="session")
def rwsplit_flavor(pytestconfig: pytest.Config) -> str:
    """`mysql` or `mariadb`, as set; else that which is installed. May be overridden."""
    flavors = _flavors(pytestconfig)
    if flavors:
        return flavors[0]
    from rwsplit.sandbox import ServersNotFound, find_servers  # noqa: PLC0415

    problems = []
    for flavor in FLAVORS:
        try:
            find_servers(flavor)
        except ServersNotFound as error:
            problems.append(str(error))
        else:
            return flavor
    pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture(scope="session")
def rwsplit_server_options() -> dict[str, object]:
    """More options for the servers, as in an option file: none. To be overridden."""
    return {}


@pytest.fixture(scope="session")
def _rwsplit_servers(
    pytestconfig: pytest.Config, rwsplit_flavor: str, rwsplit_server_options: dict[str, object]
) -> Iterator[Servers]:
    servers = Servers(rwsplit_flavor, _replicas(pytestconfig), rwsplit_server_options)
    yield servers
    servers.close()


@pytest.fixture
def rwsplit_cluster(request: pytest.FixtureRequest, _rwsplit_servers: Servers) -> Iterator[Sandbox]:
    """A primary and its replicas, as late as is set; what the test does to them is undone.

    They are started when a test first wants them, and kept for the run.
    """
    lag = _lag_of(request)
    sandbox = _rwsplit_servers.get()
    _be_late(sandbox, lag)
    yield sandbox
    _rwsplit_servers.mend()


@pytest.fixture
def rwsplit_options(
    request: pytest.FixtureRequest, rwsplit_cluster: Sandbox
) -> Iterator[dict[str, Any]]:
    """Keywords of `rwsplit.connect()`: an empty database of the test's own, on all servers."""
    name = f"test_{next(_numbers)}"
    _be_late(rwsplit_cluster, 0)
    rwsplit_cluster.create_database(name)
    rwsplit_cluster.wait_caught_up()
    _be_late(rwsplit_cluster, _lag_of(request))
    yield {**rwsplit_cluster.connect_options, "database": name}
    if rwsplit_cluster.healthy(late=True):
        rwsplit_cluster.drop_database(name)


@pytest.fixture
def rwsplit_url(rwsplit_options: dict[str, Any]) -> str:
    """The same as a URL, `mysql+rwsplit://...`, for applications that take such a one."""
    said = {key: quote(str(value), safe="") for key, value in rwsplit_options.items()}
    where = f"{said['user']}:{said['password']}@{said['host']}:{said['port']}/{said['database']}"
    replicas = ",".join(rwsplit_options["replicas"])
    return f"mysql+rwsplit://{where}?replicas={quote(replicas, safe=':,')}"


@pytest.fixture
def rwsplit_connect(
    rwsplit_options: dict[str, Any],
) -> Iterator[Callable[..., rwsplit.Connection]]:
    """`rwsplit.connect()` to them: `rwsplit_connect(autocommit=True)`. Closed after the test."""
    from rwsplit import Connection  # noqa: PLC0415

    opened: list[rwsplit.Connection] = []

    def connect(**keywords: Any) -> rwsplit.Connection:
        opened.append(Connection(**{**rwsplit_options, **keywords}))
        return opened[-1]

    yield connect
    for connection in opened:
        if connection.open:
            connection.close()


def _lag_of(request: pytest.FixtureRequest) -> float:
    """Return by how many seconds the replicas of a test are late."""
    marker = request.node.get_closest_marker("rwsplit")
    if marker is None:
        return _lag(request.config)
    if marker.args or set(marker.kwargs) != {"lag"}:
        raise pytest.UsageError("the marker is rwsplit(lag=seconds)")
    return _seconds("the marker rwsplit(lag=)", marker.kwargs["lag"])


def _be_late(sandbox: Sandbox, seconds: float) -> None:
    for server in sandbox.replicas:
        if server.link is not None:
            server.link.seconds = seconds
        elif seconds:
            sandbox.delay(server, seconds)
