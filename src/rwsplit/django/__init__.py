"""A database backend for Django: `"ENGINE": "rwsplit.django"`.

Django's own backend for MySQL and MariaDB, over rwsplit in the place of mysqlclient. What
`rwsplit.connect()` takes stands in OPTIONS; docs/django.md tells the rest.
"""
