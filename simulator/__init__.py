"""Whole downloads in virtual time: the node's own parts, on a simulated network with simulated owners.

    clock           events by time; no thread sleeps
    scenario        everything that decides a run, drawn from one number, the seed
    owner           an owner: the real responder and queue, with a behaviour of its own
    source          a source without a thread: the real session and connection between two links
    simulated_node  the node that fetches: real scheduler, source pool and write buffers; no threads, no disk
    swarm           a download by such a node from owners of all kinds
    outcome         the invariants that every such run must keep
    wire_end        one end of a connection of the peer wire
    wire_swarm      seeds, leechers and cheats that trade over the peer wire
    wire_outcome    many such swarms, and the invariants that hold in each
    flash_crowd     many such nodes and one seed that start together and serve each other
    soak            many runs, with a summary; the same over real sockets

A run that fails names its seed. ``python -m simulator --seed N`` repeats it, event by event.
"""
