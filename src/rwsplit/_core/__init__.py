"""The pure core: values in, values out. No sockets, threads, clocks, dice or drivers in here."""
