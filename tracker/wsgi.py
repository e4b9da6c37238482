"""A tracker for a WSGI server of somebody else's, in as many processes as wanted: gunicorn, uWSGI, mod_wsgi.

    gunicorn --workers 4 --threads 8 "tracker.web:create_app()"

Each process builds its own from the settings, and sweeps; with storage ``redis`` they are one tracker.
Storage ``json`` is for one process: its folder is locked, so a second one ends with one line; and a process
that was forked after it was opened (gunicorn --preload) would only believe that it has it: it ends as well.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys

from flask import Flask

from common.errors import LocalFault, SettingError
from tracker.assembly import make_service
from tracker.cli_settings import begin, open_access_log, settings_from_configs
from tracker.settings import TrackerSettings
from tracker.web.app import create_app

GIVE_UP = 4  # exit code by which gunicorn knows that starting another worker would not help


def app_from_settings() -> Flask:
    """The application, over a storage that is open; it is closed when the process ends.

    A process that cannot be a tracker ends here, with one line that says why.
    """
    try:
        return _started(settings_from_configs("127.0.0.1", 0))  # where it listens is for the server to know
    except LocalFault as error:
        print(error, file=sys.stderr)
        raise SystemExit(GIVE_UP) from None


def _started(settings: TrackerSettings) -> Flask:
    if settings.storage == "memory":
        raise SettingError("setting TRACKER_STORAGE='memory': each process would be a tracker of its own")
    if settings.storage == "json":
        os.register_at_fork(after_in_child=_end_forked)
    cleanup = contextlib.ExitStack()
    service = make_service(settings)
    begin(service, settings, cleanup)
    app = create_app(service, settings.web, open_access_log(settings, cleanup))
    atexit.register(cleanup.close)
    return app


def _end_forked() -> None:
    print("storage json is for one process, and not for one that was forked (--preload)", file=sys.stderr)
    sys.stderr.flush()
    os._exit(GIVE_UP)
