"""PyMySQL's `constants.CR`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.constants.CR import *  # noqa: F403
