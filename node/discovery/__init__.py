"""Finding peers, and telling trackers what this node has.

base         PeerSource and Announcer: the two interfaces
announcer    keeps one classroom tracker informed, on a thread of its own
classroom    the classroom tracker's five requests
http_client  POST requests with bounded answers
failover     which of a tracker's addresses is asked (pure)
schedule     when the next heartbeat is due (pure)
credentials  the node's secrets, one for each tracker
"""
