"""A tracker for another WSGI server, in as many processes as wanted: gunicorn, uWSGI, mod_wsgi.

    gunicorn --workers 4 --threads 8 "tracker.web:create_app()"

Each process builds its own application from the settings; with storage ``redis`` they are one tracker.
Storage ``json`` is for one process. Its folder is locked, so a second process ends with one line. A process
that was forked after the folder was opened (gunicorn --preload) does not hold the lock, so it ends as well.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys

from flask import Flask

from common.errors import LocalFault, SettingError
from common.logs import log
from tracker.bootstrap import begin_log, make_service, settings_from_configs, start

DO_NOT_RESTART = 4  # exit code by which gunicorn knows that another worker would fail as well


def create_app() -> Flask:
    """The application over an open storage, closed when the process ends; on failure one line and the end."""
    try:
        settings = settings_from_configs("127.0.0.1", 0)  # that server decides where to listen
        if settings.storage == "memory":
            raise SettingError("setting TRACKER_STORAGE='memory': each process would be a tracker of its own")
        if settings.storage == "json":
            os.register_at_fork(after_in_child=_end_forked)
        cleanup = contextlib.ExitStack()
        atexit.register(cleanup.close)
        service = make_service(settings)
        app = start(service, settings, cleanup, failed=_end_failed)
        begin_log(service, settings, None)
        return app
    except LocalFault as error:
        print(error, file=sys.stderr)
        raise SystemExit(DO_NOT_RESTART) from None


def _end_failed(error: Exception) -> None:
    """End this process as its WSGI server does it: the server starts another one."""
    log(f"a thread of the tracker ended: {type(error).__name__}: {error}")
    os.kill(os.getpid(), signal.SIGTERM)


def _end_forked() -> None:
    print("storage json is for one process, and not for a forked one (--preload)", file=sys.stderr)
    sys.stderr.flush()
    os._exit(DO_NOT_RESTART)
