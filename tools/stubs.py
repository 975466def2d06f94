"""Write the types of PyMySQL's constants: `python tools/stubs.py`, when PyMySQL gains some.

`tests/core/test_types.py` fails when they are not what is there.
"""

import importlib
import pkgutil
from pathlib import Path

import pymysql.constants

FOLDER = Path(__file__).parents[1] / "src" / "rwsplit" / "constants"
MODULES = tuple(sorted(module.name for module in pkgutil.iter_modules(pymysql.constants.__path__)))


def stub(module: str) -> str:
    """Return the types of one module of PyMySQL's constants."""
    values = vars(importlib.import_module(f"pymysql.constants.{module}"))
    names = [name for name in values if not name.startswith("_")]
    return "".join([f"{name}: {type(values[name]).__name__}\n" for name in names])


if __name__ == "__main__":
    for name in MODULES:
        FOLDER.joinpath(f"{name}.pyi").write_text(stub(name))
