"""The tracker over UDP (BEP 15): the same announces and scrapes as over HTTP, in a packet each way.

``connection_ids`` and ``responder`` are pure: a datagram, its address and the time in, an answer out.
``server`` is the thread with the socket. The packets are described in ``common.udp_tracker``.
"""
