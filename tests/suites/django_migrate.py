"""Django's `manage.py migrate`, twice, by two processes, while the replicas are 5 s late.

`nox -s django` runs this. By default settings the second run must find the first one's work: the
migrations' table is read and so is what a data migration changes. It fails if anything is applied
twice. It does so with the engine `rwsplit.django`, and with Django's own over
`rwsplit.install_as_MySQLdb()`; `--naive` switches off what makes the latter right, to see it go
wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from rwsplit.sandbox import Sandbox

FILES = {
    "manage.py": """
import os, sys
import rwsplit
if %(engine)r != "rwsplit.django":
    rwsplit.install_as_MySQLdb()
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "settings.py": """
SECRET_KEY = "for this run"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
DATABASES = {"default": {
    "ENGINE": %(engine)r, "NAME": "shop", "USER": "app", "PASSWORD": "secret",
    "HOST": %(host)r, "PORT": %(port)r, "OPTIONS": %(options)r,
}}
""",
    "shop/__init__.py": "",
    "shop/models.py": """
from django.db import models
class Stock(models.Model):
    item = models.CharField(max_length=20, unique=True)
    amount = models.IntegerField(default=0)
""",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": """
from django.db import migrations, models
class Migration(migrations.Migration):
    operations = [migrations.CreateModel("Stock", [
        ("id", models.BigAutoField(
            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
        )),
        ("item", models.CharField(max_length=20, unique=True)),
        ("amount", models.IntegerField(default=0)),
    ])]
""",
    "shop/migrations/0002_stock.py": """
from django.db import migrations
from django.db.models import F
def deliver(apps, editor):
    Stock = apps.get_model("shop", "Stock")
    Stock.objects.get_or_create(item="tea")
    Stock.objects.filter(item="tea").update(amount=F("amount") + 10)
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RunPython(deliver)]
""",
    "shop/migrations/0003_more.py": """
from django.db import migrations
from django.db.models import F
def deliver(apps, editor):
    apps.get_model("shop", "Stock").objects.filter(item="tea").update(amount=F("amount") * 3)
class Migration(migrations.Migration):
    dependencies = [("shop", "0002_stock")]
    operations = [migrations.RunPython(deliver)]
""",
}
ENGINES = ("rwsplit.django", "django.db.backends.mysql")
SETTINGS = ("manage.py", "settings.py")
NAIVE = {"after": None, "session_id_kind": "connection"}


def manage(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    print(f"$ manage.py {' '.join(arguments)}\n{done.stdout}{done.stderr}", flush=True)
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"


def migrate_twice(flavor: str, engine: str, late: float, options: dict[str, object]) -> bool:
    with Sandbox(flavor, replicas=2) as cluster, tempfile.TemporaryDirectory() as name:
        print(f"== {flavor} {cluster.version}, {engine}, replicas {late:g} s late", flush=True)
        host, port = cluster.primary.host, cluster.primary.port
        values = {
            "engine": engine,
            "host": host,
            "port": port,
            "options": {"replicas": cluster.connect_options["replicas"], **options},
        }
        folder = Path(name)
        for file, text in FILES.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text % values if file in SETTINGS else text)
        for replica in cluster.replicas:
            cluster.delay(replica, late)
        # In two steps, so that each of two processes has found some applied and some not.
        manage(folder, "migrate", "-v1", "shop", "0002")
        manage(folder, "migrate", "-v1")
        again = manage(folder, "migrate", "-v1")
        left = manage(folder, "migrate", "--check")
        with cluster.connect(cluster.primary) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT amount FROM shop_stock WHERE item = 'tea'")
            amount = cursor.fetchone()[0]
            cursor.execute("SELECT COUNT(*), COUNT(DISTINCT app, name) FROM django_migrations")
            rows, distinct = cursor.fetchone()
    print(f"tea: {amount} (30 is right); {rows} migrations, {distinct} different ones", flush=True)
    nothing = "No migrations to apply" in again and not left.startswith("failed")
    return nothing and amount == 30 and rows == distinct


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flavor", action="append", choices=("mysql", "mariadb"))
    parser.add_argument("--late", type=float, default=5.0, help="seconds (5)")
    parser.add_argument("--naive", action="store_true", help="without what makes it right")
    arguments = parser.parse_args()
    options = NAIVE if arguments.naive else {}
    engines = ("django.db.backends.mysql",) if arguments.naive else ENGINES
    flavors = arguments.flavor or ("mysql", "mariadb")
    failed = [
        f"{flavor} with {engine}"
        for flavor in flavors
        for engine in engines
        if not migrate_twice(flavor, engine, arguments.late, options)
    ]
    if failed:
        sys.exit(f"applied twice, or not at all, on {', '.join(failed)}")


if __name__ == "__main__":
    main()
