"""A shop that takes orders, with Flask, and a worker that writes their invoices, with Celery.

The worker reads an order the moment that it was placed, from a replica where one has it already.

    export DATABASE_URL="rwsplit://app:secret@db1/shop?replicas=db2,db3" SECRET=... \\
        BROKER_URL=redis://localhost
    gunicorn -w 3 celery_cart:web
    celery -A celery_cart worker

`cart.sql` makes the tables; `python -m rwsplit sandbox` starts servers to try it on.
"""

import os

from celery import Celery
from flask import Flask, request

import rwsplit
import rwsplit.celery
from rwsplit.web import WSGIMiddleware

app = Celery("shop", broker=os.environ["BROKER_URL"])
rwsplit.celery.install()

web = Flask(__name__)
web.wsgi_app = WSGIMiddleware(web.wsgi_app, secret=os.environ["SECRET"])


def connect():
    return rwsplit.connect(os.environ["DATABASE_URL"], autocommit=True)


@web.post("/orders/<user>")
def place(user):
    with connect() as connection, connection.cursor() as cursor:
        item = request.args["item"]
        cursor.execute("INSERT INTO orders (user, item) VALUES (%s, %s)", (user, item))
        order = cursor.lastrowid
    # Behind the commit: the task's message carries what was committed.
    write_invoice.delay(order)
    return {"order": order}, 202


@app.task
def write_invoice(order):
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT user, item FROM orders WHERE id = %s", (order,))
        row = cursor.fetchone()
        if row is None:
            raise LookupError(f"there is no order {order}")  # what a late replica would say
        text, read_on = "one {1} for {0}".format(*row), cursor.route.role
        cursor.execute("INSERT INTO invoices VALUES (%s, %s, %s)", (order, text, read_on))


@web.get("/invoices/<int:order>")
def show(order):
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT text FROM invoices WHERE order_id = %s", (order,))
        row = cursor.fetchone()
    return {"text": row[0]} if row else ({"text": None}, 404)
