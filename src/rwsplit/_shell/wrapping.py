"""`rwsplit.wrap`: another driver, a factory or an open connection, split as PyMySQL's are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, cast

from .._core.cluster.endpoint import DEFAULT_PORT, Endpoint, address, parse_primary
from .._core.setup.options import Options
from .._core.setup.problems import shown
from .._drivers.foreign import Driver, ForeignConnection, Keywords, driver_of, unfit
from .._drivers.lending import Factory, Held, Lender
from .._drivers.pymysql import (
    PYMYSQL,
    LentConnection,
    PhysicalConnection,
    PlainConnection,
    keywords_of,
)
from .._drivers.sources import check_protection
from .account import Account
from .configuring import check_replica_options, checked_options, translate_aliases
from .connection import Connection
from .given import Given, GivenConnection
from .lent import LentAccount
from .shapes import connection_class

__all__ = ["Wrapped", "lender_of", "told_apart", "wrap"]


def wrap(what: Any, /, *, primary: Any = None, driver: Any = None, **options: Any) -> Any:
    """Split the reads of code that uses another driver, or makes its connections itself.

    :param what: a driver's module, or its `connect`: returns a `connect` in its place, with the
        driver's own keywords; a function that is called with an `Endpoint` and makes a connection
        to it: returns a `connect` without keywords; or an open connection: returns the virtual
        connection of which that is the primary's.
    :param primary: where the primary is (`"host[:port]"`), for a function.
    :param driver: the module of the driver whose connections a function makes; without it, the
        first that it makes tells.
    :param options: `replicas` and all else that `rwsplit.connect` takes beside PyMySQL's keywords;
        for an open connection also the driver's keywords, with which the replicas are connected to.

    Raises TypeError for what can't be wrapped, and for an unknown keyword.
    """
    if _is_pymysql(what):
        return Wrapped(what if isinstance(what, ModuleType) else None, _PyMySQL(options))
    if PYMYSQL.is_own(what):
        return _wrap_open_pymysql(what, primary, options)
    known = driver_of(what)
    if known is not None and known.is_own(what):
        return _wrap_open(known, what, primary, options)
    if known is not None:
        module = known.module
        return Wrapped(module, _OfKeywords(known, options))
    if unfit(what):
        raise TypeError(f"wrap() can't wrap {unfit(what)}: it can {_KNOWN}")
    if isinstance(what, ModuleType) or not callable(what):
        raise TypeError(
            f"wrap() takes a driver that it knows, a function or an open connection, "
            f"but got {shown(what)}"
        )
    if primary is None:
        raise TypeError("wrap() of a function needs primary=, where its primary is")
    named = None if driver is None else lender_of(driver)
    if driver is not None and named is None:
        raise TypeError(f"driver: rwsplit can't wrap {shown(driver)}")
    module = None if named is None else named.module
    return Wrapped(module, _OfFactory(what, primary, named, options))


class Wrapped:
    """A `connect`, and beside it all that the module of its driver has."""

    def __init__(self, module: ModuleType | None, make: Callable[..., Any]) -> None:
        self._module = module
        self._make = make
        if module is not None:
            self.__name__ = module.__name__  # SQLAlchemy imports what is beside it by that

    def connect(self, *args: Any, **keywords: Any) -> Any:
        """Make a virtual connection."""
        return self._make(*args, **keywords)

    __call__ = connect
    Connect = Connection = connect

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        return getattr(self._module, name)

    def __repr__(self) -> str:
        """Tell what is wrapped."""
        return f"<rwsplit.wrap of {self._make!r}>"


def _is_pymysql(what: Any) -> bool:
    if isinstance(what, ModuleType):
        return what.__name__ in ("pymysql", "rwsplit")
    return isinstance(what, type) and issubclass(what, PlainConnection)


class _PyMySQL:
    """PyMySQL itself: `rwsplit.connect` with keywords."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return Connection(*args, **{**self._options, **keywords})

    def __repr__(self) -> str:
        return "pymysql"


class _OfKeywords:
    """A driver's `connect` with replicas."""

    def __init__(self, driver: Driver, options: Mapping[str, Any]) -> None:
        self._driver = driver
        self._options = options
        checked_options(options, DEFAULT_PORT, driver.keywords)  # so that a mistake is seen at once

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        driver = self._driver
        keywords.update(zip(_POSITIONAL, args, strict=False))
        own, keywords = told_apart(keywords, driver)
        home = _home(keywords)
        options = checked_options({**self._options, **own}, home.port, driver.keywords)
        init = keywords.pop("init_command", None) if options.replicas is not None else None
        timeout = options.replica_connect_timeout
        given = Given(
            driver,
            home,
            Keywords(driver, keywords, home),
            _account(driver, keywords, home, timeout),
            options,
            init_command=init or None,
            cursorclass=keywords.get("cursorclass"),
        )
        return connection_class(driver)(given)

    def __repr__(self) -> str:
        return self._driver.name


class _OfFactory:
    """A function that makes connections to endpoints."""

    def __init__(
        self,
        function: Callable[[Endpoint], Any],
        primary: Any,
        driver: Lender | None,
        options: Mapping[str, Any],
    ) -> None:
        self._function = function
        self._primary = parse_primary(primary, DEFAULT_PORT)
        self._driver = driver
        self._options = options

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        driver = self._driver or self._find_driver()
        options = checked_options(self._options, self._primary.port, driver.keywords)
        function, seconds = self._function, options.replica_connect_timeout
        is_pymysql = driver is PYMYSQL
        physical: Any = LentConnection if is_pymysql else ForeignConnection
        others = Factory(driver, function, seconds, is_of_primary=False)
        aside = Factory(driver, function, _PATIENCE, is_of_primary=False)
        given = Given(
            driver,
            self._primary,
            Factory(driver, function, _PATIENCE, is_of_primary=True),
            LentAccount(physical, others, aside, seconds),
            options,
            dial=function,
            begins_unknown=True,
        )
        virtual: Any = GivenConnection if is_pymysql else connection_class(cast(Driver, driver))
        return virtual(given)

    def _find_driver(self) -> Lender:
        connection = self._function(self._primary)
        driver = lender_of(connection)
        if driver is None or not driver.is_own(connection):
            kind = unfit(connection) or type(connection).__name__
            raise TypeError(f"creator returned a connection of {kind}, which rwsplit can't wrap")
        connection.close()
        self._driver = driver
        return driver

    def __repr__(self) -> str:
        return "a function"


def _wrap_open(driver: Driver, connection: Any, primary: Any, given: Mapping[str, Any]) -> Any:
    """Return the virtual connection of which an open one is the primary's."""
    own, keywords = told_apart(given, driver)
    home = _home(keywords) if primary is None else parse_primary(primary, DEFAULT_PORT)
    where, told = driver.told_by(connection)
    if primary is None and not keywords.get("host") and where:
        keywords = {**where, **keywords, "host": where["host"]}
        home = _home(keywords)
    options = checked_options(own, home.port, driver.keywords)
    keywords = {**told, **keywords}
    timeout = options.replica_connect_timeout
    account = _account(driver, keywords, home, timeout)
    held = Held(driver, connection)
    return connection_class(driver)(
        Given(driver, home, held, account, options, begins_unknown=True)
    )


def _wrap_open_pymysql(connection: Any, primary: Any, given: Mapping[str, Any]) -> Any:
    """Do so for PyMySQL's: it tells what it was made with, so replicas can be connected to so."""
    own, said = told_apart(given, PYMYSQL)
    translate_aliases(said)
    keywords = {**keywords_of(connection), **said}
    home = _home(keywords) if primary is None else parse_primary(primary, DEFAULT_PORT)
    options = checked_options(own, home.port, PYMYSQL.keywords)
    model = PhysicalConnection(None, **{**keywords, "defer_connect": True})
    check_replica_options(options.replicas or ())
    account = Account(keywords, model, options.replica_connect_timeout)
    for replica in options.replicas or ():
        check_protection(account.options(replica))
    held = Held(PYMYSQL, connection)
    return GivenConnection(Given(PYMYSQL, home, held, account, options, begins_unknown=True))


def _account(
    driver: Driver, keywords: Mapping[str, Any], home: Endpoint, timeout: float
) -> LentAccount:
    """Return how connections of a driver's own keywords connect to all but the primary itself."""
    given = (keywords.get(name) for name in driver.timeouts)
    others = Keywords(driver, keywords, home, timeout)
    aside = Keywords(driver, keywords, home, next(filter(None, given), _PATIENCE))
    return LentAccount(ForeignConnection, others, aside, timeout)


def lender_of(given: Any) -> Lender | None:
    """Return the driver of a module, of its `connect`, or of a connection; None for none."""
    if _is_pymysql(given) or PYMYSQL.is_own(given):
        return PYMYSQL
    return driver_of(given)


_KNOWN = "PyMySQL, mysqlclient and mysql-connector-python"
_PATIENCE = 10.0
"""How many seconds a connect to the primary may take where the application does not say."""
_POSITIONAL = ("host", "user", "password", "database", "port", "unix_socket")
_OWN = frozenset((*Options._fields, "sessionId"))


def told_apart(given: Mapping[str, Any], driver: Lender) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keywords that are rwsplit's, and those that are the driver's."""
    own = {key: given[key] for key in given if key in _OWN and key not in driver.keywords}
    return own, {key: given[key] for key in given if key not in own}


def _home(keywords: Mapping[str, Any]) -> Endpoint:
    """Return where keywords lead to."""
    host = keywords.get("host") or "localhost"
    port = int(keywords.get("port") or DEFAULT_PORT)
    path = keywords.get("unix_socket")
    return Endpoint(path or address(host, port), host, port, path, "primary")
