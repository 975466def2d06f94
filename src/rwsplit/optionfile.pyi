import configparser
from typing import Any

class Parser(configparser.RawConfigParser):
    def __init__(self, **kwargs: Any) -> None: ...
    def optionxform(self, key: str) -> str: ...
    def get(self, section: str, option: str) -> str: ...  # type: ignore[override]
