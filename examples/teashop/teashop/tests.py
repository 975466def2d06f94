"""Tests as any Django project has them: `manage.py test`, with `--parallel` and `--keepdb`, too."""

from django.db import connection
from django.test import TestCase, TransactionTestCase

from .models import Item


class Shelf(TestCase):
    """In a transaction that is rolled back."""

    @classmethod
    def setUpTestData(cls):
        Item.objects.create(name="cocoa", amount=2)

    def test_one_is_sold(self):
        response = self.client.post("/buy", {"item": "cocoa"})
        self.assertRedirects(response, "/", fetch_redirect_response=False)
        self.assertEqual(self.client.get("/").json()["cocoa"], 1)

    def test_all_are_there(self):
        self.assertEqual(self.client.get("/").json()["cocoa"], 2)

    def test_what_is_not_there_cannot_be_sold(self):
        self.assertEqual(self.client.post("/buy", {"item": "milk"}).status_code, 404)


class Sales(TransactionTestCase):
    """With transactions of its own, that others would see."""

    def test_what_was_sold_is_gone(self):
        Item.objects.create(name="cocoa", amount=5)
        for left in (4, 3, 2):
            self.client.post("/buy", {"item": "cocoa"})
            self.assertEqual(self.client.get("/").json()["cocoa"], left)

    def test_reads_go_to_replicas(self):
        list(Item.objects.all())
        self.assertIn(connection.connection.route.role, ("replica", "primary"))
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 /* rwsplit: consistency=eventual */")
            self.assertEqual(cursor.route.role, "replica")


class Report(TransactionTestCase):
    """Of what was there a while ago."""

    def test_it_adds_up(self):
        self.assertIn("items", self.client.get("/report").json())
