"""What can be wrong with what the server is told before it serves.

ConfigurationError: a flag, an environment variable or a model file can't be used; names it and says what to do.
AddressError: the address can't be listened on; the message is the last line of Python's traceback for it.
"""


class ConfigurationError(Exception):
    """The simulated engine was given something that it can't work with."""


class AddressError(Exception):
    """The address is taken, or there is no such address here."""
