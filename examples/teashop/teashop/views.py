"""Reads go to replicas, all else to the primary: a view says nothing of it."""

from django.db import connection, transaction
from django.db.models import Sum
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404, redirect

import rwsplit

from .models import Item


def shelf(request: HttpRequest) -> JsonResponse:
    """What is there."""
    return answer({item.name: item.amount for item in Item.objects.order_by("name")})


def buy(request: HttpRequest):
    """Sell one. The lock, and all that follows in the transaction, is the primary's."""
    with transaction.atomic():
        items = Item.objects.select_for_update()
        item = get_object_or_404(items, name=request.POST["item"], amount__gt=0)
        item.amount -= 1
        item.save()
    return redirect("/")


@rwsplit.using(consistency="eventual", max_staleness=60)
def report(request: HttpRequest) -> JsonResponse:
    """How much is there in all; a minute ago will do."""
    return answer(Item.objects.aggregate(items=Sum("amount")))


def answer(body: dict[str, int]) -> JsonResponse:
    """Answer, and tell which server the last statement ran on."""
    route = connection.connection.route
    return JsonResponse(body, headers={"X-Read-From": f"{route.role} {route.endpoint}"})
