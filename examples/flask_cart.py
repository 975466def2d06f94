"""A shop's cart with Flask: what a user has put into it, his next request shows.

The next request may reach another process, and the replicas may be late. The middleware's cookie
carries on what the user has written; who has not written anything is served by replicas.

    DATABASE_URL="rwsplit://app:secret@db1/shop?replicas=db2,db3" SECRET=... \\
        gunicorn -w 3 flask_cart:app

`cart.sql` makes the tables; `python -m rwsplit sandbox` starts servers to try it on.
"""

import os

from flask import Flask, g, redirect, request

import rwsplit
from rwsplit.web import WSGIMiddleware

app = Flask(__name__)
app.wsgi_app = WSGIMiddleware(app.wsgi_app, secret=os.environ["SECRET"])


def database():
    """The request's connection; rwsplit keeps the wires, so a new one costs next to nothing."""
    if "database" not in g:
        g.database = rwsplit.connect(os.environ["DATABASE_URL"], autocommit=True)
    return g.database


@app.teardown_appcontext
def close(error):
    if "database" in g:
        g.database.close()


@app.post("/cart/<user>")
def add(user):
    with database().cursor() as cursor:
        item = request.args["item"]
        cursor.execute("INSERT INTO cart (user, item) VALUES (%s, %s)", (user, item))
    return redirect(f"/cart/{user}", 303)


@app.get("/cart/<user>")
def show(user):
    with database().cursor() as cursor:
        cursor.execute("SELECT item FROM cart WHERE user = %s ORDER BY id", (user,))
        items = [item for (item,) in cursor]
        return {"items": items, "read_on": cursor.route.role}
