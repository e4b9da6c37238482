"""Simulated network faults: loss (also in bursts), duplication, reordering, corruption, delay, outages,
changing rates, and a queue. All of them are drawn from a seed.

    link     the fate of each datagram on one direction of a path (pure: time is an argument)
    ordered  the same for the messages of a TCP connection (pure)
    rates    the time that bytes take at a changing rate (pure)
    spec     faults as text, as after -faults (pure)
    exact    the messages that a rule names (pure)
    relay    such a path between real UDP sockets

The package knows no protocol, needs no root and works on any system.
"""
