"""What variables are called where the flavors' names differ: those of transactions. Pure."""

from __future__ import annotations

__all__ = ["TRANSACTIONAL", "spelt"]

TRANSACTIONAL = {
    "transaction_isolation": "isolation",
    "tx_isolation": "isolation",
    "transaction_read_only": "reads_only",
    "tx_read_only": "reads_only",
    "completion_type": "completion_type",
}
"""What a session has set for its transactions; by these names, as the flavors' own differ."""

_SPELT = {
    "mysql": {"isolation": "transaction_isolation", "reads_only": "transaction_read_only"},
    "mariadb": {"isolation": "tx_isolation", "reads_only": "tx_read_only"},
}


def spelt(name: str, flavor: str) -> str:
    """Return what a flavor calls a variable.

    >>> spelt("transaction_isolation", "mariadb"), spelt("tx_isolation", "mysql")
    ('tx_isolation', 'transaction_isolation')
    """
    return _SPELT[flavor].get(TRANSACTIONAL.get(name, ""), name)
