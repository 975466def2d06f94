"""Flows: what needs more than one exchange with a server, as generators of commands.

A flow decides; it does no I/O and blocks nobody. The shell's `perform` carries its commands out and
sends back what became of them; a simulator does so under a clock of its own.
"""
