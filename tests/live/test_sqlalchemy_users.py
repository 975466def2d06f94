"""Libraries over SQLAlchemy, with nothing but the URL: Flask-SQLAlchemy, SQLModel, pandas."""

import time
from functools import cache

import pytest

pytest.importorskip("sqlalchemy")

from .test_sqlalchemy import url_of


@pytest.fixture
def url(cluster):
    database = cluster.create_database("users")
    cluster.wait_caught_up()
    yield url_of(cluster).set(database=database)
    cluster.drop_database(database)


def stall(cluster):
    for replica in cluster.replicas:
        cluster.stall(replica)


def test_flask_sqlalchemy(cluster, url):
    flask = pytest.importorskip("flask")
    extension = pytest.importorskip("flask_sqlalchemy")
    db = extension.SQLAlchemy()

    class Item(db.Model):
        name = db.Column(db.String(20), primary_key=True)
        amount = db.Column(db.Integer)

    app = flask.Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_pre_ping": True}
    db.init_app(app)

    @app.post("/<name>")
    def add(name):
        db.session.add(Item(name=name, amount=1))
        db.session.commit()
        return "added"

    @app.get("/")
    def show():
        return [item.name for item in db.session.scalars(db.select(Item))]

    with app.app_context():
        db.create_all()
    cluster.wait_caught_up()
    stall(cluster)
    browser = app.test_client()
    for count, name in enumerate(("coffee", "tea"), 1):
        assert browser.post(f"/{name}").text == "added"
        assert len(browser.get("/").json) == count
    with app.app_context():
        db.engine.dispose()


@cache
def hero(sqlmodel):
    class Hero(sqlmodel.SQLModel, table=True):
        id: int | None = sqlmodel.Field(default=None, primary_key=True)
        name: str = sqlmodel.Field(max_length=20)

    return Hero


def test_sqlmodel(cluster, url):
    sqlmodel = pytest.importorskip("sqlmodel")
    Hero = hero(sqlmodel)  # noqa: N806
    engine = sqlmodel.create_engine(url)
    sqlmodel.SQLModel.metadata.create_all(engine)
    cluster.wait_caught_up()
    stall(cluster)
    for number in range(1, 4):
        with sqlmodel.Session(engine) as session:
            session.add(Hero(name="somebody"))
            session.commit()
        with sqlmodel.Session(engine) as session:
            assert len(session.exec(sqlmodel.select(Hero)).all()) == number
    engine.dispose()


def test_pandas(cluster, url):
    pandas = pytest.importorskip("pandas")
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    roles = []

    @sqlalchemy.event.listens_for(engine, "after_cursor_execute")
    def note(connection, cursor, statement, parameters, context, many):
        roles.append((statement.split()[0], cursor.route.role))

    frame = pandas.DataFrame({"name": ["coffee", "tea"], "amount": [1, 2]})
    frame.to_sql("stock", engine, index=False)
    assert pandas.read_sql("SELECT * FROM stock ORDER BY name", engine).equals(frame)
    cluster.wait_caught_up()
    time.sleep(0.2)
    with engine.connect().execution_options(stream_results=True) as connection:
        parts = pandas.read_sql("SELECT * FROM stock ORDER BY name", connection, chunksize=1)
        assert [part.amount.iloc[0] for part in parts] == [1, 2]
    assert {role for verb, role in roles if verb == "INSERT"} == {"primary"}
    assert ("SELECT", "replica") in roles
    engine.dispose()
