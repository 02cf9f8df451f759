"""The WSGI application: ``gunicorn wsgi:app``."""

from flaskreg.serving import make_app


app = make_app()
