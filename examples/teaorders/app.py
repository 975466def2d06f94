"""A FastAPI application over SQLAlchemy: reads go to replicas, all else to the primary.

rwsplit is in the database's URL; in `report`, which may be a little late; and in a middleware, by
which whoever has bought something sees that, whichever process answers.
"""

import os
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from sqlalchemy import String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from rwsplit.web import ASGIMiddleware

URL = os.environ.get(
    "SHOP_URL",
    "mysql+rwsplit://app:secret@127.0.0.1:3306/shop?replicas=127.0.0.1:3307,127.0.0.1:3308",
)
engine = create_engine(URL, pool_pre_ping=True)


class Base(DeclarativeBase):
    """The shop's tables."""


class Item(Base):
    """What is on the shelf."""

    __tablename__ = "item"
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    amount: Mapped[int] = mapped_column(default=0)


@asynccontextmanager
async def lifespan(app: FastAPI):
    """Make the tables; a real shop has migrations."""
    Base.metadata.create_all(engine)
    yield
    engine.dispose()


app = FastAPI(lifespan=lifespan)


# Carries in a cookie what a visitor has bought; it costs the other visitors nothing.
app.add_middleware(ASGIMiddleware, secret=os.environ["SECRET"])


def session() -> Iterator[Session]:
    """Give a request a session."""
    with Session(engine) as db:
        yield db


Db = Annotated[Session, Depends(session)]


@app.get("/")
def shelf(db: Db, response: Response) -> dict[str, int]:
    """What is there."""
    items = {item.name: item.amount for item in db.scalars(select(Item).order_by(Item.name))}
    tell(db, response)
    return items


@app.post("/buy/{name}")
def buy(name: str, db: Db) -> dict[str, int]:
    """Sell one. The lock, and all that follows in the transaction, is the primary's."""
    item = db.get(Item, name, with_for_update=True)
    if item is None or item.amount < 1:
        raise HTTPException(404)
    item.amount -= 1
    left = {name: item.amount}
    db.commit()
    return left


@app.get("/report")
def report(db: Db, response: Response) -> dict[str, int]:
    """How much is there in all; a moment ago will do."""
    query = select(func.sum(Item.amount)).execution_options(rwsplit_consistency="eventual")
    total = {"items": int(db.scalar(query) or 0)}
    tell(db, response)
    return total


def tell(db: Session, response: Response) -> None:
    """Tell which server the last statement ran on."""
    route = db.connection().connection.dbapi_connection.route
    response.headers["X-Read-From"] = f"{route.role} {route.endpoint}"
