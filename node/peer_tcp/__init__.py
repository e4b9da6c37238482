"""BitTorrent's peer wire over TCP (BEP 3): the same torrents, for every other client.

choking  which peers are unchoked (pure)
"""
