"""The classroom transport: byte ranges over UDP, where the fetcher controls every transfer.

An owner keeps no state for a transfer but its slots and its queue of requests. The fetcher decides how much
is outstanding, notices what is lost, and slows down. ``docs/protocol.md`` has every byte of every message.

Read it in this order:

    wire                the format of every datagram
    events              the events that a connection returns

    loss_recovery       fetcher: round-trip times, and when a request counts as lost
    delivery_rate       how fast bytes arrive
    path_mtu            how large a segment the path carries
    pacing              when the next request may go
    congestion/         how much may be outstanding
    request_tracker     puts these five together: one connection's bytes (pure)
    asks                the questions that are unanswered, and the token
    probe_timer         when to probe a silent owner, and when to give it up
    have_poll           when to ask a partial owner again
    connection          the state machine: datagrams and time in, datagrams and events out (pure)
    session_driver      between a connection and its download session (pure)
    fetcher             the loop around them: one thread for each peer

    metadata_exchange   fetcher of a torrent's metadata, for which it has no connection (pure)
    metadata_fetcher    the loop around it

    address_validation  owner: the proof that an address is real, without state
    slots               which fetchers are served
    replay_window       duplicates that the network made
    super_seeding       rare pieces first
    responder           puts these four together: a datagram in, a response out (pure)
    drr_queue           requests in fair order
    upload_queue        the next batch to send, under the upload limit (pure)
    segment_sender      sends content as segments
    owner               the loop around them: one listening thread
    flood/              protection against floods; the protocol works without it

    sockets             the abilities of this system's sockets
    transport           both sides behind the interface that every transport has
"""
