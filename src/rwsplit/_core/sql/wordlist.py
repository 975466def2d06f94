"""Sets of words, written as text."""

__all__ = ["words"]


def words(*groups: str) -> frozenset[str]:
    """The words of all groups."""
    return frozenset(" ".join(groups).split())
