"""Starts a node: ``python TorrentClient.py -node_id N``."""

import sys

from node.cli import main

if __name__ == "__main__":
    sys.exit(main())
