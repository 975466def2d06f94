"""Sessions for developers: `nox -l` lists them."""

import os
import pathlib
import shutil
import sys

import nox

nox.options.sessions = ["lint", "core", "test"]

PROJECT = nox.project.load_toml("pyproject.toml")
GROUPS = PROJECT["dependency-groups"]
TEST, LINT = GROUPS["test"], GROUPS["lint"]
ALL = [*TEST, *GROUPS["integrations"], *GROUPS["drivers"], *GROUPS["examples"]]


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
    session.install("-e", ".", *ALL)
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Everything, with the long checks at their full length."""
    session.install("-e", ".", *ALL)
    env = {"RWSPLIT_TEST_SECONDS": "600"}
    session.run("pytest", "--timeout=7200", *session.posargs, env=env)


@nox.session
def simulate(session: nox.Session) -> None:
    """Schedules of a simulated cluster, each on both roads, for a minute on all cores; no servers.

    Or for RWSPLIT_TEST_SECONDS, or so many as `--schedules` says behind `--`; RWSPLIT_TEST_SEED
    says where to begin. What the simulator must see is tested first.
    """
    session.install("-e", ".", *TEST)
    session.run("pytest", "tests/simulate")
    env = {"RWSPLIT_TEST_SECONDS": os.environ.get("RWSPLIT_TEST_SECONDS", "60")}
    session.run("python", "-m", "tests.simulate", *session.posargs, env=env)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and test it, not the source tree."""
    session.install("build", *TEST)
    session.run("python", "-m", "build", "--outdir", session.create_tmp())
    wheels = list(pathlib.Path(session.create_tmp()).glob("*.whl"))
    session.install(str(wheels[-1]))
    session.run("pytest", "tests/core", *session.posargs)


@nox.session
def web(session: nox.Session) -> None:
    """A thousand rounds of POST, redirect, GET by 20 users under each web server, replicas late."""
    session.install("-e", ".", *TEST, *GROUPS["integrations"], *GROUPS["examples"])
    session.run(
        "pytest", "tests/live/test_web.py", *session.posargs, env={"RWSPLIT_TEST_ROUNDS": "1000"}
    )


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; prints the tables of docs/benchmarks.md."""
    session.install("-e", ".")
    session.run("python", "-m", "benchmarks", *session.posargs)


def sources_of(session: nox.Session, package: str) -> pathlib.Path:
    """Fetch the sources of what is installed: tests are in them alone."""
    show = f"import {package}; print({package}.__version__)"
    version = session.run("python", "-c", show, silent=True).strip()
    folder = pathlib.Path(session.create_tmp())
    sources = folder / f"{package}-{version}"
    if not sources.is_dir():
        exact = f"{package}=={version}"
        options = ("-q", "--no-deps", "--no-binary", package, "-d", folder, exact)
        session.run("python", "-m", "pip", "download", *options)
        shutil.unpack_archive(f"{sources}.tar.gz", folder)
    return sources


@nox.session
@nox.parametrize("version", ["2.0", "2.1"])
def sqlalchemy(session: nox.Session, version: str) -> None:
    """SQLAlchemy's own tests through mysql+rwsplit and mariadb+rwsplit, replicas 1 s late.

    With `-- --driver mysqldb` through mysql+mysqldb, over mysqlclient wrapped.
    """
    session.install("-e", ".", f"sqlalchemy=={version}.*", "pytest", *GROUPS["drivers"])
    sources = sources_of(session, "sqlalchemy")
    session.run("python", "tests/suites/sqlalchemy_suite.py", sources, *session.posargs)
    session.install(*TEST, "flask-sqlalchemy", "sqlmodel", "pandas", "alembic")
    session.run("pytest", "tests/live/test_sqlalchemy_users.py", "tests/live/test_alembic.py")


@nox.session
@nox.parametrize("series", ["5.2", "6"])
def django(session: nox.Session, series: str) -> None:
    """Django's `migrate` twice within the lag, and its own tests, replicas 1 s late.

    With `-- --driver mysqlclient` on Django's own backend, over mysqlclient wrapped.
    """
    if series == "6" and sys.version_info < (3, 12):
        session.skip("Django 6 needs Python 3.12")
    session.install("-e", ".", f"django=={series}.*", "tblib", *GROUPS["drivers"])
    if not session.posargs:
        session.run("python", "tests/suites/django_migrate.py")
    sources = sources_of(session, "django")
    session.run("python", "tests/suites/django_suite.py", sources, *session.posargs)


@nox.session
def peewee(session: nox.Session) -> None:
    """peewee's own tests of its MySQL backend, unchanged, by `python -m rwsplit run`."""
    session.install("-e", ".")
    # The tests are neither in peewee's packages nor in its sdist: Debian has the whole sources.
    folder = pathlib.Path(session.create_tmp()) / "peewee"
    if not folder.is_dir():
        sys.path.append("tools")
        import debian  # noqa: PLC0415

        debian.unpack_source(folder, "peewee", f"unpack peewee's sources into {folder}")
    session.run("python", "tests/suites/peewee_suite.py", folder, *session.posargs)
