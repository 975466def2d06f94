"""What MySQL and MariaDB do differently: facts with names, for those who decide by them. Pure.

Nobody else compares flavors: who has to know what a server does asks for the fact.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Traits", "traits_of"]


class Traits(NamedTuple):
    """What servers of a flavor do, as far as the other does otherwise."""

    reads_tell: bool
    """The last packet of a read can tell where its server is: there is a tracker of all GTIDs."""
    keeps_warnings: bool
    """The list of warnings outlives statements that use no table (tried). Elsewhere such a
    statement clears it."""
    any_read_begins: bool
    """With autocommit off any read begins a transaction, and even SHOW takes the snapshot that
    later reads see. Elsewhere what opens a table with rows does, and SHOW does not (tried)."""
    begin_ends_level: bool
    """A BEGIN that ends a transaction ends what SET TRANSACTION said for that one, too. Elsewhere
    the next transaction is like it (tried)."""
    catalogue_is_transactional: bool
    """The catalogue is in InnoDB's tables: to ask it uses up the level of the next transaction, and
    begins a snapshot where autocommit is off, or a transaction has none yet (tried)."""
    reports_every_set: bool
    """The tracker of system variables reports what `SET @@name` sets, without a scope (tried)."""
    has_unique_ids: bool
    """A server's id is a UUID. Elsewhere it is a number, and two clusters may have the same one."""
    tables_made: str
    """The session status variable that counts temporary tables, those made in routines included."""
    makes_tables: frozenset[str]
    """The verbs of the statements that it counts."""


_TRAITS = {
    "mysql": Traits(
        reads_tell=True,
        keeps_warnings=False,
        any_read_begins=True,
        begin_ends_level=False,
        catalogue_is_transactional=True,
        reports_every_set=True,
        has_unique_ids=True,
        tables_made="Com_create_table",
        makes_tables=frozenset({"CREATE TABLE", "CREATE TEMPORARY TABLE"}),
    ),
    "mariadb": Traits(
        reads_tell=False,
        keeps_warnings=True,
        any_read_begins=False,
        begin_ends_level=True,
        catalogue_is_transactional=False,
        reports_every_set=False,
        has_unique_ids=False,
        tables_made="Com_create_temporary_table",
        makes_tables=frozenset({"CREATE TEMPORARY TABLE"}),
    ),
}


def traits_of(flavor: str) -> Traits:
    """Return what servers of a flavor do.

    >>> traits_of("mysql").reads_tell, traits_of("mariadb").reads_tell
    (True, False)
    """
    return _TRAITS[flavor]
