"""PyMySQL's cursor classes; their types are in the `.pyi` beside this."""

from pymysql.cursors import Cursor, DictCursor, DictCursorMixin, SSCursor, SSDictCursor

__all__ = ["Cursor", "DictCursor", "DictCursorMixin", "SSCursor", "SSDictCursor"]
