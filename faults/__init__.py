"""A bad network to order: seeded loss, duplication, reordering, corruption, delay, rate and queue.

    link  what happens to each datagram on one direction of a path (pure: time is an argument)

It knows nothing of any protocol, needs no root and works on any system.
"""
