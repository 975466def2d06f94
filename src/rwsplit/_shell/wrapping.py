"""`rwsplit.wrap`: another driver, a factory or an open connection, split as PyMySQL's are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from .._core.cluster.endpoint import DEFAULT_PORT, Endpoint, address, parse_primary
from .._core.setup.options import Options
from .._core.setup.problems import shown
from .._drivers.foreign import Driver, Factory, Held, Keywords, driver_of
from .._drivers.pymysql import PlainConnection
from .configuring import checked_options
from .connection import Connection
from .wrapped import Given, connection_class

__all__ = ["Wrapped", "wrap"]


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
    known = driver_of(what)
    if known is not None and known.is_own(what):
        return _wrap_open(known, what, primary, options)
    if known is not None:
        module = known.module
        return Wrapped(module, _OfKeywords(known, options))
    if isinstance(what, ModuleType) or not callable(what):
        raise TypeError(
            f"wrap() takes a driver that it knows, a function or an open connection, "
            f"but got {shown(what)}"
        )
    if primary is None:
        raise TypeError("wrap() of a function needs primary=, where its primary is")
    named = None if driver is None else driver_of(driver)
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
        own = {key: keywords.pop(key) for key in [*keywords] if _is_own(key, driver)}
        home = _home(keywords)
        options = checked_options({**self._options, **own}, home.port, driver.keywords)
        init = keywords.pop("init_command", None) if options.replicas is not None else None
        timeout = options.replica_connect_timeout
        given = Given(
            driver,
            home,
            Keywords(driver, keywords, home),
            Keywords(driver, keywords, home, timeout),
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
        driver: Driver | None,
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
        given = Given(
            driver,
            self._primary,
            Factory(driver, function, _PATIENCE, is_of_primary=True),
            Factory(driver, function, seconds, is_of_primary=False),
            options,
            dial=function,
            begins_unknown=True,
        )
        return connection_class(driver)(given)

    def _find_driver(self) -> Driver:
        connection = self._function(self._primary)
        driver = driver_of(connection)
        if driver is None or not driver.is_own(connection):
            raise TypeError(
                f"creator returned a {type(connection).__name__}, which rwsplit can't wrap"
            )
        connection.close()
        self._driver = driver
        return driver

    def __repr__(self) -> str:
        return "a function"


def _wrap_open(driver: Driver, connection: Any, primary: Any, given: Mapping[str, Any]) -> Any:
    """Return the virtual connection of which an open one is the primary's."""
    keywords = {key: given[key] for key in given if not _is_own(key, driver)}
    own = {key: given[key] for key in given if _is_own(key, driver)}
    home = _home(keywords) if primary is None else parse_primary(primary, DEFAULT_PORT)
    if primary is None and not keywords.get("host") and connection.host:
        keywords["host"] = connection.host
        keywords.setdefault("port", connection.port)
        home = _home(keywords)
    options = checked_options(own, home.port, driver.keywords)
    keywords.setdefault("user", connection.user)
    given_to_replicas = Keywords(driver, keywords, home, options.replica_connect_timeout)
    held = Held(driver, connection)
    return connection_class(driver)(
        Given(driver, home, held, given_to_replicas, options, begins_unknown=True)
    )


_PATIENCE = 10.0
"""How many seconds a function may take to connect to the primary."""
_POSITIONAL = ("host", "user", "password", "database", "port", "unix_socket")
_OWN = frozenset((*Options._fields, "sessionId"))


def _is_own(key: str, driver: Driver) -> bool:
    """Tell whether a keyword is rwsplit's, and not the driver's."""
    return key in _OWN and key not in driver.keywords


def _home(keywords: Mapping[str, Any]) -> Endpoint:
    """Return where keywords lead to."""
    host = keywords.get("host") or "localhost"
    port = int(keywords.get("port") or DEFAULT_PORT)
    path = keywords.get("unix_socket")
    return Endpoint(path or address(host, port), host, port, path, "primary")
