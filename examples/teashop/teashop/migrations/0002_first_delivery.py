from django.db import migrations
from django.db.models import F


def deliver(apps, editor):
    item = apps.get_model("teashop", "Item")
    for name in ("coffee", "tea"):
        item.objects.get_or_create(name=name)
    item.objects.update(amount=F("amount") + 10)


class Migration(migrations.Migration):
    dependencies = [("teashop", "0001_initial")]
    operations = [migrations.RunPython(deliver, migrations.RunPython.noop)]
