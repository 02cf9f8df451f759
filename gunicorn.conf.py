"""gunicorn reads this file by itself when it is started in this folder."""

from flaskreg.gunicornconf import *  # noqa: F403 - gunicorn takes every name as a setting
