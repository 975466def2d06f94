"""The pages of the tea shop."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.shelf),
    path("buy", views.buy),
    path("report", views.report),
]
