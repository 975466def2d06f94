"""PyMySQL's `charset`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.charset import *  # noqa: F403
