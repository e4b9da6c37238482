"""The tracker on HTTP: reads requests, calls the service, writes answers. Decides nothing."""

from __future__ import annotations

import importlib

from flask import Flask


def create_app() -> Flask:
    """The application of ``tracker.wsgi``, for ``gunicorn "tracker.web:create_app()"``.

    Users of gunicorn know this name. The rest of this package is below ``tracker.wsgi``, so the module is
    looked up by name and only now, as gunicorn does it.
    """
    app: Flask = importlib.import_module("tracker.wsgi").create_app()
    return app
