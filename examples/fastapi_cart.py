"""A shop's cart with FastAPI: what a user has put into it, his next request shows.

The next request may reach another process, and the replicas may be late. The middleware's cookie
carries on what the user has written; who has not written anything is served by replicas.

    DATABASE_URL="rwsplit://app:secret@db1/shop?replicas=db2,db3" SECRET=... \\
        uvicorn --workers 2 fastapi_cart:app

`cart.sql` makes the tables; `python -m rwsplit sandbox` starts servers to try it on.
"""

import asyncio
import os
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse

import rwsplit
from rwsplit.web import ASGIMiddleware

app = FastAPI()
app.add_middleware(ASGIMiddleware, secret=os.environ["SECRET"])


def database():
    """The request's connection; rwsplit keeps the wires, so a new one costs next to nothing."""
    with rwsplit.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        yield connection


Database = Annotated[rwsplit.Connection, Depends(database)]


@app.post("/cart/{user}")
def add(user: str, item: str, database: Database):
    # A function of this kind runs in a thread, with a copy of the request's context.
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO cart (user, item) VALUES (%s, %s)", (user, item))
    return RedirectResponse(f"/cart/{user}", 303)


@app.get("/cart/{user}")
async def show(user: str):
    # Nothing that waits for a server belongs into the event loop: `to_thread` copies the context.
    return await asyncio.to_thread(read, user)


def read(user):
    with contextmanager(database)() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT item FROM cart WHERE user = %s ORDER BY id", (user,))
        items = [item for (item,) in cursor]
        return {"items": items, "read_on": cursor.route.role}
