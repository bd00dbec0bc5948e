"""The ``proto-saga`` command, one sub-command a file."""
