"""PyMySQL's `constants.ER`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.constants.ER import *  # noqa: F403
