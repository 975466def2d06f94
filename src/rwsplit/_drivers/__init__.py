"""Drivers: the only modules that use the internals of other people's libraries."""
