"""What MariaDB's Connector/C knows and mysqlclient does not hand on: status bits and reports.

mysqlclient has a capsule for its `MYSQL*`, with which the functions of the library that it is
linked with can be called. Whether they can is looked at for each connection: a failed look means
that nothing is told.

What stands in the library's list is of the last answer *without* rows: it does not speak
CLIENT_DEPRECATE_EOF, and an answer with rows leaves the list of the one before standing.
"""

from __future__ import annotations

import ctypes
from typing import Any

__all__ = ["Native", "mend", "native_of"]

_SERVER_STATUS = 30
"""MARIADB_CONNECTION_SERVER_STATUS of `enum mariadb_value`."""
_AUTOCOMMIT = 0x0002
_KINDS = range(6)
_VARIABLES, _GTIDS = 0, 3


class Native:
    """The library's side of one connection; of no use once that is closed."""

    def __init__(self, library: Any, mysql: int) -> None:
        self._mysql = ctypes.c_void_p(mysql)
        self._info = library.mariadb_get_infov
        self._first = library.mysql_session_track_get_first
        self._next = library.mysql_session_track_get_next
        self._thread_id = library.mysql_thread_id
        self._status = ctypes.c_uint()
        self._data, self._length = ctypes.c_void_p(), ctypes.c_size_t()
        self._at_status = ctypes.byref(self._status)
        self._at = ctypes.byref(self._data), ctypes.byref(self._length)

    def fits(self, connection: Any) -> bool:
        """Tell whether it is of this connection, and says what that says."""
        thread: int = self._thread_id(self._mysql)
        autocommit = bool(self.status() & _AUTOCOMMIT)
        return bool(thread == connection.thread_id() and autocommit == connection.get_autocommit())

    def status(self) -> int:
        """Return the server's status bits as of the last answer."""
        self._info(self._mysql, _SERVER_STATUS, self._at_status)
        return self._status.value

    def report(self) -> bytes:
        """Return what the last answer without rows reported, as the end of an OK packet."""
        block = bytearray()
        for kind in _KINDS:
            found = self._of(kind)
            if kind == _VARIABLES:
                pairs = zip(found[::2], found[1::2], strict=True)
                found = [_text(name) + _text(value) for name, value in pairs]
            else:
                found = [b"\0" * (kind == _GTIDS) + _text(each) for each in found]
            for data in found:
                block += bytes((kind,)) + _text(data)
        return b"\0" + _text(bytes(block))

    def _of(self, kind: int) -> list[bytes]:
        found = []
        more = self._first
        while not more(self._mysql, kind, *self._at):
            address = self._data.value
            found.append(ctypes.string_at(address, self._length.value) if address else b"")
            more = self._next
        return found


def native_of(extension: Any, connection: Any) -> Native | None:
    """Return the library's side of a connection; None where it can't be had.

    :param extension: mysqlclient's module in C, linked with the library.
    """
    capsule = getattr(connection, "_get_native_connection", None)
    library = _library_of(extension.__file__)
    if capsule is None or library is None:
        return None
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    held = capsule()
    found = Native(library, pointer_of(held, name_of(held)))
    return found if found.fits(connection) else None


def mend(error: BaseException) -> None:
    """Give an error a text where mysqlclient has left a hole, which ends the process when touched.

    It reads what the server says as UTF-8; in another character set that fails, and then the second
    of the error's `args` is no object at all (`_mysql_Exception`, seen in 2.3.2).
    """
    args = error.args
    if len(args) == _NUMBER_AND_TEXT and not _second(id(args)).value:
        error.args = (args[0], "the server's message is not in UTF-8, and mysqlclient lost it")


_NUMBER_AND_TEXT = 2


def _second(address: int) -> ctypes.c_void_p:
    """Return the second of a tuple's items, as the address that CPython keeps of it."""
    return ctypes.c_void_p.from_address(
        address + tuple.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)
    )


_libraries: dict[str, Any] = {}


def _library_of(path: str) -> Any:
    """Return the functions that an extension is linked with; None where one is not there."""
    if path not in _libraries:
        _libraries[path] = _load(path)
    return _libraries[path]


def _load(path: str) -> Any:
    try:
        library = ctypes.PyDLL(path)  # which keeps the GIL: none of them waits
        pointer, number = ctypes.c_void_p, ctypes.c_int
        library.mariadb_get_infov.argtypes = [pointer, number, pointer]
        library.mariadb_get_infov.restype = ctypes.c_byte
        library.mysql_thread_id.argtypes = [pointer]
        library.mysql_thread_id.restype = ctypes.c_ulong
        for name in ("mysql_session_track_get_first", "mysql_session_track_get_next"):
            function = getattr(library, name)
            function.argtypes = [pointer, number, pointer, pointer]
            function.restype = number
    except (OSError, AttributeError):
        return None  # libmysqlclient, say, which tells no status
    return library


def _text(data: bytes) -> bytes:
    """Return bytes behind their length, as the protocol has them."""
    size = len(data)
    if size < 0xFB:
        return bytes((size,)) + data
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + data
    return b"\xfd" + size.to_bytes(3, "little") + data
