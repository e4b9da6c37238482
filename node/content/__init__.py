"""A torrent's bytes on disk.

base             Content: the interface to them
store            ContentStore: one content, from the part to the finished files
part_file        NAME.part, the file that a download fills
part_folder      NAME.part, the folder that a download of several files fills
open_parts       the unfinished files of a folder, a few of them open at a time
folder_tree      the files below a folder, opened without following links
side_file        NAME.side: boundary pieces of files that are not selected
selection        the selected files, and their pieces (pure)
folder_finish    the complete files of a folder get their names
finished_files   the finished content, in one file or many
shared_file      a complete file that must stay unchanged
resume_record    NAME.resume: what is verified, for the next run
resume_format    its bytes, and what of it is believed (pure)
boot             the identity of the system's present boot
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
