"""The one error that is meant for the user's eyes."""


class TakehomeError(Exception):
    """What was found, where, and what to do: `str(error)` is the whole message, and no stack trace is needed."""
