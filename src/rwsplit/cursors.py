"""PyMySQL's cursor classes: a virtual connection's `cursor()` makes subclasses of them."""

from ._drivers.cursors import Cursor, DictCursor, DictCursorMixin, SSCursor, SSDictCursor

__all__ = ["Cursor", "DictCursor", "DictCursorMixin", "SSCursor", "SSDictCursor"]
