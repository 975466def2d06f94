"""`manage.py dbshell`: mysql's client, on the primary."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.db.backends.mysql import client

import rwsplit

from .._core.cluster.endpoint import Endpoint, address
from .._core.sql.values import as_text
from .._drivers.sources import token_of

__all__ = ["DatabaseClient", "shell_settings"]


class DatabaseClient(client.DatabaseClient):
    """Django's own, for the server that is the primary now."""

    def runshell(self, parameters: Any) -> None:
        """Run mysql's client."""
        found = SimpleNamespace(settings_dict=shell_settings(self.connection))
        client.DatabaseClient(found).runshell(parameters)


def shell_settings(wrapper: Any) -> dict[str, Any]:
    """Return settings with which mysql's own programs find the primary.

    Its address may stand in a configuration alone, or be another by now. While it can't be reached
    that is where it is expected.
    """
    settings = wrapper.settings_dict
    params = wrapper.get_connection_params()
    connection = rwsplit.connect(**{**params, "defer_connect": True})
    host, port, socket = connection.host, connection.port, connection.unix_socket
    user, password, seconds = connection.user, connection.password, connection.connect_timeout
    primary = Endpoint(socket or address(host, port), host, port, socket, "primary")
    try:
        connection.connect()
    except rwsplit.Error:
        pass
    else:
        primary = connection.cluster.primary
        connection.close()
    host, port, socket = primary.host, primary.port, primary.unix_socket
    if callable(password):
        password = token_of(password, primary, seconds)
    if host == "localhost":
        host = "127.0.0.1"  # which the client would take for a socket, and leave the port aside
    options = {key: params[key] for key in ("read_default_file", "charset") if key in params}
    files = {"ssl_ca": "ca", "ssl_cert": "cert", "ssl_key": "key"}
    tls = {theirs: params[ours] for ours, theirs in files.items() if params.get(ours)}
    given = params.get("ssl")
    options["ssl"] = {**(given if isinstance(given, dict) else {}), **tls}
    return {
        **settings,
        "HOST": socket or host,
        "PORT": "" if socket else str(port),
        "USER": as_text(user) or "",
        "PASSWORD": as_text(password) or "",
        "NAME": settings["NAME"] or as_text(connection.db) or "",
        "OPTIONS": options,
    }
