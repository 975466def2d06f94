"""Sessions for developers: `nox -l` lists them."""

import nox

nox.options.sessions = ["lint", "core", "test"]

PROJECT = nox.project.load_toml("pyproject.toml")
TEST = PROJECT["dependency-groups"]["test"]
LINT = PROJECT["dependency-groups"]["lint"]


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff and mypy."""
    session.install("-e", ".", *TEST, *LINT)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def core(session: nox.Session) -> None:
    """The pure core, without servers, on every Python."""
    session.install("-e", ".", *TEST)
    session.run("pytest", "tests/core", *session.posargs)


@nox.session
def test(session: nox.Session) -> None:
    """Everything, on real servers."""
    session.install("-e", ".", *TEST)
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Everything, with the long checks at their full length."""
    session.install("-e", ".", *TEST)
    env = {"RWSPLIT_TEST_SECONDS": "600"}
    session.run("pytest", "--timeout=7200", *session.posargs, env=env)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and test it, not the source tree."""
    session.install("build", *TEST)
    session.run("python", "-m", "build", "--outdir", session.create_tmp())
    wheels = list(__import__("pathlib").Path(session.create_tmp()).glob("*.whl"))
    session.install(str(wheels[-1]))
    session.run("pytest", "tests/core", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; prints the tables of docs/benchmarks.md."""
    session.install("-e", ".")
    session.run("python", "-m", "benchmarks", *session.posargs)
