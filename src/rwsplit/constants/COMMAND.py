"""PyMySQL's `constants.COMMAND`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.constants.COMMAND import *  # noqa: F403
