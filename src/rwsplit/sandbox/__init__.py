"""A primary and its replicas on this machine, for tests and for trying things out.

    from rwsplit.sandbox import Sandbox

    with Sandbox("mysql", replicas=2) as cluster:
        connection = rwsplit.connect(**cluster.connect_options, autocommit=True)

The servers run on loopback, on free ports, in a temporary folder; nothing of them survives the
sandbox, also if its process is killed. `rwsplit.sandbox.pytest_plugin` has fixtures.
"""

from ._cluster import Sandbox
from ._find import Programs, ServersNotFound, find_servers
from ._server import Server

__all__ = ["Programs", "Sandbox", "Server", "ServersNotFound", "find_servers"]
