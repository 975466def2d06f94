"""`alembic upgrade head`, twice by two processes, while the replicas are late: applied once."""

import subprocess
import sys

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from .test_sqlalchemy import url_of

FILES = {
    "alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n",
    "migrations/env.py": """
from alembic import context
from sqlalchemy import create_engine, pool
from sqlalchemy.dialects import registry
registry.register("mysql.rwsplit", "rwsplit.sqlalchemy", "RWSplitDialect")
registry.register("mariadb.rwsplit", "rwsplit.sqlalchemy", "RWSplitMariaDBDialect")
with create_engine(URL, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
""",
    "migrations/versions/1.py": """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "1", None
def upgrade():
    op.create_table(
        "stock", sa.Column("item", sa.String(20), primary_key=True), sa.Column("amount", sa.Integer)
    )
    op.execute("INSERT INTO stock VALUES ('tea', 0)")
""",
    "migrations/versions/2.py": """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "2", "1"
def upgrade():
    connection = op.get_bind()
    amount = connection.scalar(sa.text("SELECT amount FROM stock WHERE item = 'tea'"))
    connection.execute(sa.text("UPDATE stock SET amount = :amount"), {"amount": amount + 10})
""",
    "migrations/versions/3.py": """
from alembic import op
revision, down_revision = "3", "2"
def upgrade():
    op.execute("UPDATE stock SET amount = amount * 3")
""",
}


def test_what_is_applied_is_not_applied_again(cluster, tmp_path):
    """Where reads may be late, too: the versions are read on the primary."""
    database = cluster.create_database("migrated")
    url = url_of(cluster, consistency="eventual").set(database=database)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("URL", repr(url.render_as_string(hide_password=False))))

    def alembic(*arguments):
        command = [sys.executable, "-m", "alembic", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    alembic("upgrade", "1")
    cluster.wait_caught_up()
    for replica in cluster.replicas:
        cluster.stall(replica)
    alembic("upgrade", "head")
    alembic("upgrade", "head")
    with cluster.connect(cluster.primary, database=database) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT amount FROM stock")
        assert cursor.fetchall() == ((30,),)
        cursor.execute("SELECT version_num FROM alembic_version")
        assert cursor.fetchall() == (("3",),)
    cluster.drop_database(database)
