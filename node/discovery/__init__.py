"""Finding peers, and announcing the files of this node.

base         PeerSource and Announcer: the two interfaces
announcer    keeps a classroom tracker informed, on its own thread
outbox       messages that wait for a tracker (pure)
classroom    the classroom tracker's five requests
http_client  POST requests with bounded answers
failover     the order of a tracker's addresses (pure)
schedule     when the next heartbeat is due (pure)
credentials  the node's secret for each tracker
"""
