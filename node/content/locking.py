"""One writer for one file: an advisory lock that ends with the process, however it ends."""

from __future__ import annotations

import errno
import sys

if sys.platform == "win32":
    import msvcrt
    import os

    _FAR = 1 << 62  # Windows locks are mandatory, so the locked byte is one that no file has

    def try_lock(descriptor: int) -> bool:
        """Whether ``descriptor``'s file is now ours alone; until it is closed."""
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    _NO_LOCKS_HERE = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})

    def try_lock(descriptor: int) -> bool:
        """Whether ``descriptor``'s file is now ours alone; until it is closed.

        flock, because it also tells two descriptors in one process apart. A file system without locks
        (some network ones) says yes: a lock is a courtesy, and the content is verified anyway.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _NO_LOCKS_HERE
        return True
