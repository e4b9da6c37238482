"""A bad network to order: seeded loss, in bursts too, duplication, reordering, corruption, delay, outages,
rates that change, and a queue.

    link   what happens to each datagram on one direction of a path (pure: time is an argument)
    rates  how long bytes take to pass at a rate that changes (pure)
    relay  such a path between real UDP sockets

It knows nothing of any protocol, needs no root and works on any system.
"""
