"""A torrent's bytes on disk.

base             Content: the interface to them
store            ContentStore: one content, from the part file to the finished file
part_file        NAME.part, which a download fills
shared_file      a complete file that must stay unchanged
layout           ranges of the content in one file or many (pure)
hashing          the hashing threads of downloads; verifying what is on disk
piece_hashing    SHA-1 of many pieces on all processors
new_torrent      a torrent made of a file or folder
folder_scan      the files below a folder, in a torrent's order
local_files      files on this disk read as a torrent's content
verifying        the pieces that a file or folder has
entry_names      under which names a torrent's file is on disk
torrent_file     .torrent files: created, read, and never lost
positional_file  reading and writing at an offset, on every system
sending          sendfile, and what stands in for it
atomic_rename    giving a finished file its name
os_errors        the system's errors about files, as one line for the user
"""
