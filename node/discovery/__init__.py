"""Finding peers, and announcing the files of this node.

base         PeerSource and Announcer: the two interfaces
announcer    keeps a classroom tracker informed, on its own thread
announced_files, meeting
             what a tracker was told; whose leechers a seed asks for (pure)
outbox       messages that wait for a tracker (pure)
classroom    the classroom tracker's five requests
http_client  POST requests with bounded answers
http_deadline, source_address
             what all HTTP requests share; from which address a tracker is asked
announce, announce_url
             an announce of the standard protocols and its answer; tracker URLs (pure)
http_tracker, udp_tracker, udp_link
             announces over HTTP, and over UDP (udp_link is pure)
announce_plan
             which tracker of a torrent is announced to, when, with which event (pure)
standard     announces the torrents of this node to standard trackers, on threads
failover     the order of a tracker's addresses (pure)
schedule     when the next heartbeat is due (pure)
credentials  the node's secret for each tracker
"""
