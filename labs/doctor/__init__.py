"""``python -m labs doctor``: is this computer ready for the labs? A line a check, with its fix.

facts      what is so on this computer: the only part with sockets and clocks
checks     what of it is wrong, and how to mend it; pure
cli        the command
"""
