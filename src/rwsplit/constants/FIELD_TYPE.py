"""PyMySQL's `constants.FIELD_TYPE`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.constants.FIELD_TYPE import *  # noqa: F403
