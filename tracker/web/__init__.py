"""The tracker on HTTP: reads requests, calls the service, writes answers. Decides nothing."""

from __future__ import annotations

from flask import Flask


def create_app() -> Flask:
    """The application with all that the settings say behind it: ``gunicorn "tracker.web:create_app()"``.

    (``tracker.web.app.create_app`` is the one that is told what to serve.)
    """
    from tracker.wsgi import app_from_settings  # the one step up: this name is what the outside world knows

    return app_from_settings()
