"""Servers that a test doesn't share with others."""

from __future__ import annotations

import contextlib

import pytest

from rwsplit.sandbox import Sandbox
from rwsplit.sandbox.pytest_plugin import wanted


@contextlib.contextmanager
def servers_of_its_own(flavor):
    """A primary and two replicas for one test or module; skips a flavor that is left out."""
    if not wanted(flavor):
        pytest.skip(f"RWSPLIT_TEST_FLAVORS leaves {flavor} out")
    with Sandbox(flavor, replicas=2) as sandbox:
        yield sandbox
