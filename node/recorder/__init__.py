"""The flight recorder: the last messages of a node, of both transports, to be read afterwards.

    flight_recorder   keeps them in a ring; a ``Tap``
    datagram_rows     describes the classroom's datagrams from their first bytes
    stream_rows       describes messages of the peer wire
    losses            marks lost messages and their repairs
    diagram           draws a message sequence diagram for a terminal
    watched           notes verified pieces, and dumps the messages before a download failed
    capture, packets  ``-pcap``: a capture file for Wireshark; another ``Tap``

Recording is always on. So it keeps a few bytes of each message, and describes nothing before it is asked.
"""

from node.recorder.flight_recorder import FlightRecorder as FlightRecorder
