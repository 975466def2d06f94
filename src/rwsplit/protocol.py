"""PyMySQL's `protocol`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql.protocol import *  # noqa: F403
