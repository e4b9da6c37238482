"""The classroom transport: byte ranges over UDP, driven by the one who fetches.

Read it in this order:

    wire         what a datagram looks like
    tokens       how an owner knows that an address is real without remembering it
    recovery     round-trip times, and when a request counts as lost
    congestion/  how much may be asked for at a time
    connection   the fetcher's state machine: bytes and time in, bytes and facts out (pure)
    answers      the owner's side: a datagram in, what to answer out (pure)
    sockets      what the system can do: buffers, path size, batches
    fetcher      the loop around connection: one thread for each owner
    owner        the loop around answers: one listening thread

The owner keeps no state for a transfer; the fetcher decides what is outstanding, notices what is
lost, and slows down. ``docs/protocol.md`` gives every byte of every message.
"""
