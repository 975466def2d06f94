"""Imports go in one direction, and the core does no I/O."""

import ast
from pathlib import Path

import pytest

import rwsplit

PACKAGE = Path(rwsplit.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "sandbox" not in path.parts)

# From the bottom up: a module may import from its own layer and from those before it.
LAYERS = ("_core", "_drivers", "_stores", "_shell", "surface")

FORBIDDEN_IN_CORE = {
    *("socket", "ssl", "select", "threading", "asyncio", "subprocess", "os"),
    *("time", "random", "logging", "pymysql"),
}


# Now, and not amid other threads: Python 3.11's parser is not always safe there (gh-106905).
TREES = {path: ast.parse(path.read_text()) for path in MODULES}


def layer(path: Path) -> str:
    top = path.relative_to(PACKAGE).parts[0]
    return top if top in LAYERS else "surface"


def imports(path: Path) -> list[str]:
    """The absolute names of all that a module imports, at whatever depth."""
    package = ["rwsplit", *path.relative_to(PACKAGE).parts[:-1]]
    found = []
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_own_layer_and_those_below(path):
    mine = LAYERS.index(layer(path))
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "rwsplit" and len(parts) > 1:
            theirs = parts[1] if parts[1] in LAYERS else "surface"
            assert LAYERS.index(theirs) <= mine, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "_core").rglob("*.py")), ids=lambda path: path.name
)
def test_the_core_does_no_io(path):
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & FORBIDDEN_IN_CORE


KNOWN_TO_CLUSTER = {
    *("__future__", "collections", "enum", "math", "typing"),
    *("endpoint", "figures", "options", "policies", "position", "tracking", "cluster"),
}
"""All that the rules of the cluster may be made of: no clock, no dice, no thread, no driver; and
nothing of sessions and statements, which go by the cluster and not the other way round."""
CLUSTER = sorted((PACKAGE / "_core" / "cluster").glob("*.py"))


@pytest.mark.parametrize("path", CLUSTER, ids=lambda path: path.name)
def test_the_rules_of_the_cluster_stand_on_little(path):
    for name in imports(path):
        part = name.removeprefix("rwsplit._core.").split(".")[0]
        assert part in KNOWN_TO_CLUSTER, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", CLUSTER, ids=lambda path: path.name)
def test_the_rules_of_the_cluster_call_nobody_back(path):
    """What a server changes is returned, or read by whoever called: nobody is told of it."""
    names = {node.id for node in ast.walk(TREES[path]) if isinstance(node, ast.Name)}
    assert not names & {"Callable", "Protocol", "__import__", "globals"}


def test_only_the_driver_uses_the_internals_of_pymysql():
    """Private attributes of PyMySQL's modules are touched in one place."""
    for path in MODULES:
        if layer(path) == "_drivers":
            continue
        private = [
            name
            for name in imports(path)
            if name.startswith("pymysql.")
            and any(p.startswith("_") and not p.endswith("__") for p in name.split("."))
        ]
        assert path.name == "_auth.py" or not private, path


def test_the_shell_knows_pymysql_only_where_it_looks_like_it():
    """`surface` and `cursor` have its names, for its users' tests."""
    for path in MODULES:
        if layer(path) == "_shell" and path.name not in ("surface.py", "cursor.py"):
            assert "pymysql" not in {name.split(".")[0] for name in imports(path)}, path


def test_no_name_of_pymysql_is_taken_from_where_others_put_theirs():
    """After PyMySQL's own `install_as_MySQLdb()`, `pymysql.err` may be a second copy of it."""
    modules = {
        f"pymysql.{name}" for name in ("connections", "converters", "cursors", "err", "times")
    }
    for path in MODULES:
        assert not modules & set(imports(path)), path


def test_there_is_no_import_cycle():
    graph = {}
    for path in MODULES:
        name = ".".join(["rwsplit", *path.relative_to(PACKAGE).with_suffix("").parts])
        graph[name.removesuffix(".__init__")] = path
    edges = {
        name: {
            target
            for used in imports(path)
            for target in (used, used.rpartition(".")[0])
            if target in graph and target != name and target != "rwsplit"
        }
        for name, path in graph.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        if name not in done:
            for target in edges[name]:
                visit(target, (*above, name))
            done.add(name)

    for name in edges:
        visit(name, ())
