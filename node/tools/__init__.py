"""The commands about torrents that need no node: create, show, verify, magnet.

cli       the command line of the four
create    a torrent of a file or folder
show      the fields of torrents
verify    the pieces that a file or folder has
magnet    the magnet link of a torrent
summary   a torrent as a JSON object and as lines for people
progress  a line on the terminal that says how far hashing is
"""
