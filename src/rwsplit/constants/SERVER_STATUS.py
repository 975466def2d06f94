"""PyMySQL's `constants.SERVER_STATUS`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.constants.SERVER_STATUS import *  # noqa: F403
