"""PyMySQL's `optionfile`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.optionfile import *  # noqa: F403
