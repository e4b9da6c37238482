"""Whole downloads in virtual time: the node's own parts, on a network and with owners made to order.

    clock      what is to happen, by time; nothing sleeps
    scenario   everything that decides a run, drawn from one number, the seed
    owner      an owner: the real answers and the real queue, and what it does besides (die, lie, be busy)
    source     an owner's thread without a thread: the real connection between two links
    fetching   the node that fetches: the real board, crew, judge, without threads and disk
    swarm      a download by it, from owners of all kinds
    outcome    what must be so at the end of every such run
    crowd      many of it and one seed, that begin together and serve each other
    soak       many runs, with a summary; the same over real sockets

A run that fails says its seed; ``python -m simulator --seed N`` repeats it, event by event.
"""
