from typing import Any, Literal

VERSION: tuple[int, int, int, str]
VERSION_STRING: str
version_info: tuple[int, int, int, str, int]
__version__: str
threadsafety: Literal[1]
apilevel: Literal["2.0"]
paramstyle: Literal["pyformat"]
NULL: Literal["NULL"]

class DBAPISet(frozenset[int]):
    def __ne__(self, other: object) -> bool: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

STRING: DBAPISet
BINARY: DBAPISet
NUMBER: DBAPISet
DATE: DBAPISet
TIME: DBAPISet
TIMESTAMP: DBAPISet
DATETIME: DBAPISet
ROWID: DBAPISet

def Binary(x: Any) -> bytes: ...
def thread_safe() -> bool: ...
def get_client_info() -> str: ...
