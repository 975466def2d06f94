"""Fixtures of all tests; real servers start when a test first wants one."""

pytest_plugins = ["rwsplit.sandbox.pytest_plugin"]
