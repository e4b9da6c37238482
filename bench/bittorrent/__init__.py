"""BitTorrent's peer wire compared with libtorrent: ``python -m bench bittorrent``.

moves    one file from one seeder to one leecher, each ours or libtorrent
peers    a process with many seeds of ours, which stall on command
swarms   many peers: a flash crowd, peers that stall at the end, memory with 50 peers
figures  ratios of each round, and their medians
machine  the pure state machine alone, in processor time
cli      the command
"""
