"""A torrent's bytes on disk: kept (storage), checked (verify), and described for others (torrents)."""
