"""The BitTorrent peer wire over TCP (BEP 3), with the fast extension (BEP 6) and extensions (BEP 10).

``docs/protocol.md`` has every byte. The pure parts take bytes and time and return events and bytes. Read
them in this order:

    limits             every limit, in one table
    states             the states of a connection and their timeouts
    messages           the messages, and their bytes
    decoder            messages out of a stream of bytes
    handshake          the first 68 bytes
    rc4, mse           the encrypted handshake
    opening            the encrypted and the plain handshake, until both know the torrent
    events             the events that a connection returns
    held_pieces        the pieces that the peer holds
    outgoing_requests  the blocks that we asked for
    incoming_requests  the blocks that the peer asked for
    context            what the sides share
    download_side      fetching
    allowed_fast       pieces that a newcomer gets at once
    upload_side        serving
    extension          the extended handshake
    metadata           the info dictionary, piece by piece
    extension_side     extended messages
    connection         puts them together: one connection (``PeerWire``)
    choking            which peers are unchoked
"""
