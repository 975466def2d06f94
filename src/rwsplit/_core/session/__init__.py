"""The session of a virtual connection: what it is, and what it has to see."""
