"""PyMySQL's `constants.SERVER_STATUS`, where `import rwsplit as pymysql` looks."""

from pymysql.constants.SERVER_STATUS import *  # noqa: F403
