"""PyMySQL's `err`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.err import *  # noqa: F403
