"""PyMySQL's `constants.CLIENT`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.constants.CLIENT import *  # noqa: F403
