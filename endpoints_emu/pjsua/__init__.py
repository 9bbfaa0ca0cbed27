"""Softclient: PJSIP (PyPI `pjsua2-python` 2.15.1), one process a client, controlled over a UNIX socket."""
