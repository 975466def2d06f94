"""What the tea shop has."""

from django.db import models


class Item(models.Model):
    """A kind of goods, and how many there are."""

    name = models.CharField(max_length=40, unique=True)
    amount = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.amount}"
