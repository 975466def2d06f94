"""Whether members would give other answers than the primary: settings and filters that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .._core.cluster.orders import WarnOnce
from .._core.flavors.defaults import DEFAULTS, UNMENDED, unpacked
from .._core.flavors.looks import read_filters
from .._core.sql.values import as_text
from .._drivers import err

__all__ = ["Parities", "Parity", "filters_of"]


class Parity(NamedTuple):
    """What a server has set that changes what statements answer."""

    mended: Mapping[str, str]
    """What sessions are given the primary's value of."""
    unmended: dict[str, str]

    @classmethod
    def of(cls, flavor: str, values: Sequence[Any]) -> Parity:
        """Read the first row of the answer to ASK_PARITY."""
        mended, unmended = map(as_text, values)
        others = {**unpacked(UNMENDED, unmended)}
        others["version"] = others["version"].split("-")[0]
        return cls(unpacked(DEFAULTS[flavor], mended), others)

    def differences(self, primary: Parity) -> list[str]:
        """Name what is not as it is on the primary, and can't be made so."""
        found = _differences(self.unmended, primary.unmended)
        if primary.mended["time_zone"] != "SYSTEM":
            found.pop("system_time_zone", None)
        return [*found.values()]

    def mendings(self, primary: Parity) -> list[str]:
        """Name what is not as it is on the primary, and is made so for each session."""
        return [*_differences(self.mended, primary.mended).values()]


class Parities:
    """What the servers of a cluster have set, so far as was asked."""

    def __init__(self) -> None:
        self._known: dict[str, Parity] = {}

    def note(self, name: str, parity: Parity, filters: list[str], primary: str) -> list[WarnOnce]:
        """Note what a server has set; warns of what makes members answer otherwise than this one.

        :param filters: what it leaves out of what it replicates.
        :param primary: the name of the primary.
        """
        self._known[name] = parity
        warnings = []
        if filters:
            message = (
                "replica %s filters what it replicates (%s): its reads show less, and nothing tells"
            )
            warnings.append(WarnOnce(message, (name, ", ".join(filters))))
        of_primary = self._known.get(primary)
        if of_primary is None:
            return warnings
        for other, theirs in tuple(self._known.items()):  # others add to it
            if other != primary:
                warnings += _warnings(other, theirs, of_primary)
        return warnings


def _warnings(name: str, parity: Parity, primary: Parity) -> list[WarnOnce]:
    warnings = [
        WarnOnce("replica %s may answer otherwise: its %s", (name, difference))
        for difference in parity.differences(primary)
    ]
    mended = parity.mendings(primary)
    if mended:
        message = (
            "replica %s has other defaults, and each session there is given the primary's: its %s"
        )
        warnings.append(WarnOnce(message, (name, "; its ".join(mended))))
    return warnings


def _differences(mine: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    return {
        name: f"{name} is {value!r}, and {theirs[name]!r} on the primary"
        for name, value in mine.items()
        if value != theirs[name]
    }


def filters_of(flavor: str, replies: Sequence[Any]) -> list[str]:
    """Name the replication filters that a server lets us see."""
    seen = replies[1]
    if isinstance(seen, err.MySQLError):
        return []
    return read_filters(flavor, seen.rows)
