"""Imports go in one direction, and the core does no I/O."""

import ast
import re
from pathlib import Path
from statistics import median

import pytest

import rwsplit

PACKAGE = Path(rwsplit.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "sandbox" not in path.parts)

# From the bottom up: a module may import from its own layer and from those before it.
LAYERS = ("_core", "_drivers", "_stores", "_shell", "surface")

PURE = {
    *("__future__", "base64", "bisect", "collections", "contextlib", "difflib", "enum"),
    *("functools", "hashlib", "hmac", "ipaddress", "itertools", "math", "operator", "posixpath"),
    *("re", "tomllib", "types", "typing", "urllib.parse", "rwsplit._core"),
}
"""All that the core may be made of beside itself: nothing of it waits, and nothing surprises."""
NOT_IN_CORE = {
    *("monotonic", "monotonic_ns", "perf_counter", "time", "time_ns", "sleep"),
    *("Random", "SystemRandom", "getrandbits", "randrange", "urandom", "uuid4", "token_hex"),
    *("Lock", "RLock", "Condition", "Event", "Thread", "get_ident", "current_thread"),
    *("create_connection", "getenv", "getpid", "getLogger", "logger"),
    *("__import__", "import_module", "modules"),
}
"""Names of clocks, dice, threads, sockets and logs, and of ways round an import."""
ATTRIBUTES_NOT_IN_CORE = {*NOT_IN_CORE, "now", "today"}
BUILTINS_NOT_IN_CORE = {"open", "print", "input", "exec", "eval"}


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


def within(*names: str) -> list[Path]:
    """The modules of these wings."""
    return [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in names]


def shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


CORE, SHELL = within("_core"), within("_shell")


@pytest.mark.parametrize("path", CORE, ids=shown)
def test_the_core_is_made_of_what_is_pure(path):
    for name in imports(path):
        assert any(f"{name}.".startswith(f"{known}.") for known in PURE), f"it imports {name}"


@pytest.mark.parametrize("path", CORE, ids=shown)
def test_the_core_has_no_clock_no_dice_and_no_thread(path):
    """What it needs of them it is given: a moment, a number, or a function that tells one."""
    for node in ast.walk(TREES[path]):
        name, attribute = getattr(node, "id", None), getattr(node, "attr", None)
        assert name not in NOT_IN_CORE, f"{shown(path)}:{node.lineno} has {name}"
        assert attribute not in ATTRIBUTES_NOT_IN_CORE, f"{shown(path)}:{node.lineno}: {attribute}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in BUILTINS_NOT_IN_CORE, f"{shown(path)}:{node.lineno}"


KNOWN_TO_CLUSTER = {
    *("__future__", "collections", "enum", "math", "typing"),
    *("tracking", "cluster", "setup"),
}
"""All that the rules of the cluster may be made of: no clock, no dice, no thread, no driver; and
nothing of sessions and statements, which go by the cluster and not the other way round."""
VALUES = {"endpoint", "figures", "policies", "position"}
"""What servers are called, have, and are chosen by: values that all others use."""
CLUSTER = [
    path for path in sorted((PACKAGE / "_core" / "cluster").glob("*.py")) if path.stem not in VALUES
]


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


def test_only_its_own_module_knows_a_driver_that_is_wrapped():
    """What is wrapped is not imported, either, before the application has done so."""
    for path in MODULES:
        tops = {name.split(".")[0] for name in imports(path)}
        assert not {"MySQLdb", "mysql"} & tops, path
    assert "ctypes" not in {
        name for path in MODULES if path.name != "native.py" for name in imports(path)
    }


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


def test_a_session_knows_nothing_of_flows():
    """Flows go by the session, and not the other way round."""
    for path in sorted((PACKAGE / "_core" / "session").glob("*.py")):
        for name in imports(path):
            assert not name.startswith("rwsplit._core.flows"), f"{path.name} imports {name}"


def test_a_flow_is_known_only_to_those_that_come_after_it():
    """Each stands on those before it: a table from the bottom up, which is the order of the house.

    `journey` puts them together, and the straight roads and the methods go by that.
    """
    order = (
        *(
            "deadline",
            "command",
            "answer",
            "choosing",
            "reading_back",
            "ruling",
            "holding",
            "asking",
        ),
        *("learning", "publishing", "reading", "recovering", "joining", "deciding", "writing"),
        *("moving", "controlling", "journey", "methods", "straight"),
    )
    flows = sorted((PACKAGE / "_core" / "flows").glob("*.py"))
    assert {path.stem for path in flows} == {*order, "__init__"}
    for path in flows:
        for name in imports(path):
            known = name.removeprefix("rwsplit._core.flows.").split(".")[0]
            if name.startswith("rwsplit._core.flows.") and known in order:
                assert order.index(known) < order.index(path.stem), f"{path.stem} imports {known}"


# What differs between the flavors.

FLAVORS = {"mysql", "mariadb"}
KNOW_FLAVORS = (PACKAGE / "_core" / "flavors", PACKAGE / "_core" / "sql", PACKAGE / "_drivers")
"""Where a flavor means something: what servers do, what texts mean, and what a handshake told."""
TABLES_BY_FLAVOR = {"_core/cluster/position.py"}
"""The classes of positions are the flavors'."""


def names_flavor(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Constant) and n.value in FLAVORS for n in ast.walk(node))


def decisions_by_flavor(tree: ast.AST) -> list[int]:
    """The lines that compare something with the name of a flavor."""
    decides = ast.Compare | ast.MatchValue
    nodes = [node for node in ast.walk(tree) if isinstance(node, decides)]
    return [node.lineno for node in nodes if names_flavor(node)]


def tables_by_flavor(tree: ast.AST) -> list[int]:
    """The lines of the tables that have a flavor for a key."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    return [node.lineno for node in nodes if any(names_flavor(key) for key in node.keys if key)]


OTHERS = [path for path in MODULES if not any(map(path.is_relative_to, KNOW_FLAVORS))]


@pytest.mark.parametrize("path", OTHERS, ids=shown)
def test_what_differs_between_the_flavors_is_in_flavors(path):
    """Others ask for a fact that has a name (`Traits`), or for what is said there."""
    assert not decisions_by_flavor(TREES[path])
    assert shown(path) in TABLES_BY_FLAVOR or not tables_by_flavor(TREES[path])


@pytest.mark.parametrize(
    "text",
    [
        'if flavor == "mysql": pass',
        'made["mariadb" != state.origin.flavor :]',
        'known = flavor in ("mysql", "mariadb")',
        'match flavor:\n    case "mysql" | "other": pass',
    ],
)
def test_a_decision_by_flavor_is_seen(text):
    assert decisions_by_flavor(ast.parse(text))
    assert not decisions_by_flavor(ast.parse(text.replace("mysql", "it").replace("mariadb", "it")))


def test_a_table_by_flavor_is_seen():
    assert tables_by_flavor(ast.parse('sql = {**more, "mariadb": "SHOW REPLICA HOSTS"}[flavor]'))
    assert not tables_by_flavor(ast.parse('Topology(primary, flavor={"is": "mysql"})'))


# What a driver's connection keeps for itself.

OF_DRIVERS = {"_sock", "_rfile", "_result", "_read_timeout", "_closed"}
"""Fields of PyMySQL's connection. Above the driver it is asked what they mean."""
ALLOWED_OF_DRIVERS = {
    # PyMySQL's cursors have a `_result` of their own, and look for the one of their connection.
    ("_shell/cursor.py", "_result"),
    # Attributes that programs look at which were written for PyMySQL's connection.
    ("_shell/surface.py", "_sock"),
    ("_shell/surface.py", "_rfile"),
    ("_shell/surface.py", "_closed"),
    ("_shell/surface.py", "_read_timeout"),
    # The result that the application sees: a field of the virtual connection, as of PyMySQL's.
    ("_shell/connected.py", "_result"),
    ("_shell/speaking.py", "_result"),
    ("_shell/connection.py", "_result"),
}


def fields_of(tree: ast.AST) -> set[str]:
    """The fields that a class gives itself: in its body, its slots, and on `self`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        for target in targets(node):
            base = bottom(target)
            if isinstance(base, ast.Name):
                found.add(base.id)
            elif is_own(base):
                found.add(base.attr)
    return found


def targets(node: ast.AST) -> list[ast.expr]:
    """What a statement assigns to, one by one; what it deletes, too."""
    if isinstance(node, ast.Assign | ast.Delete):
        left = [*node.targets]
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.NamedExpr):
        left = [node.target]
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        left = [node.optional_vars]
    else:
        return []
    found = []
    while left:
        target = left.pop()
        if isinstance(target, ast.Tuple | ast.List):
            left += target.elts
        elif isinstance(target, ast.Starred):
            left.append(target.value)
        else:
            found.append(target)
    return found


def bottom(target: ast.expr) -> ast.expr:
    """`x.field` of `x.field[...]`."""
    while isinstance(target, ast.Subscript):
        target = target.value
    return target


def is_own(node: ast.AST) -> bool:
    """Whether it is a field of `self`."""
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    )


@pytest.mark.parametrize("path", [*CORE, *SHELL], ids=shown)
def test_what_a_driver_keeps_for_itself_is_left_alone(path):
    own: dict[ast.AST, set[str]] = {}
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ClassDef):
            own.update(dict.fromkeys(ast.walk(node), fields_of(node)))
    slots = {
        constant
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__"
        for constant in ast.walk(node.value)
    }
    for node in ast.walk(TREES[path]):
        name = getattr(node, "attr", None)
        if isinstance(node, ast.Constant) and node not in slots:
            name = node.value  # getattr(connection, "_sock")
        if name not in OF_DRIVERS or (shown(path), name) in ALLOWED_OF_DRIVERS:
            continue
        mine = is_own(node) and name in own.get(node, ())
        assert mine, f"{shown(path)}:{node.lineno} touches {name}"


def test_all_that_is_allowed_is_needed():
    for where, name in ALLOWED_OF_DRIVERS:
        assert name in (PACKAGE / where).read_text(), f"{where} has no {name} any more"


# One writer.

WINGS = sorted(
    path for wing in ("session", "flows") for path in (PACKAGE / "_core" / wing).glob("*.py")
)


def owned() -> set[str]:
    """The fields that classes of sessions and flows write on themselves, and those of the wire."""
    found: set[str] = set()
    for path in WINGS:
        for node in ast.walk(TREES[path]):
            found |= {base.attr for base in map(bottom, targets(node)) if is_own(base)}
    for node in ast.walk(TREES[PACKAGE / "_core" / "wire.py"]):
        if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases):
            found |= {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}
    return found


def test_there_are_fields_that_somebody_owns():
    assert {"status", "unsent", "aside", "asked", "server_status", "lost", "heard"} <= owned()


@pytest.mark.parametrize("path", WINGS, ids=shown)
def test_a_field_is_written_by_its_own_class(path):
    """Who wants it changed calls a method of that class: so it can be read there what may be."""
    fields = owned()
    for node in ast.walk(TREES[path]):
        for base in map(bottom, targets(node)):
            if isinstance(base, ast.Attribute) and not is_own(base):
                where = f"{shown(path)}:{base.lineno}"
                assert base.attr not in fields, f"{where} writes {ast.unparse(base)}"


# Size.

MOST_LINES = 400
MEDIAN_LINES = 170


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("path", SHELL, ids=shown)
def test_a_module_of_the_shell_is_thin(path):
    assert lines(path) <= MOST_LINES


@pytest.mark.parametrize("path", SHELL, ids=shown)
def test_no_class_of_the_shell_waits_for_one_above_it_to_fill_it_in(path):
    names = {node.id for node in ast.walk(TREES[path]) if isinstance(node, ast.Name)}
    assert "NotImplementedError" not in names


@pytest.mark.parametrize("wing", ["_core", "_shell"])
def test_modules_are_short(wing):
    assert median(map(lines, within(wing))) <= MEDIAN_LINES


# The table of the house.

TABLE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text().partition("| step | file |")[2]
TABLE = TABLE.partition("\n\n")[0]
NAMED = set(re.findall(r"`(\w+(?:/\w+)*\.py)`", TABLE))


def test_the_table_of_the_house_names_files_that_are_there():
    assert not {name for name in NAMED if not (PACKAGE / name).exists()}


@pytest.mark.parametrize("path", WINGS, ids=shown)
def test_a_step_of_the_journey_is_in_the_table(path):
    """`answer` has what the steps hand on."""
    assert shown(path) in NAMED or path.stem in ("__init__", "answer"), shown(path)
