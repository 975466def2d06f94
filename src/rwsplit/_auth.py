"""PyMySQL's `_auth`, under the name that `import rwsplit as pymysql` looks for."""

from pymysql._auth import *  # noqa: F403
