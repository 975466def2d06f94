"""PyMySQL's `times`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.times import *  # noqa: F403
