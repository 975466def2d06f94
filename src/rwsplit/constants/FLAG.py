"""PyMySQL's `constants.FLAG`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.constants.FLAG import *  # noqa: F403
