"""PyMySQL's `converters`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.converters import *  # noqa: F403
