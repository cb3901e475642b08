"""What can be wrong with what the server is told before it serves.

ConfigurationError: a flag, an environment variable or a model file can't be used; names it and says what to do.
"""


class ConfigurationError(Exception):
    """The simulated engine was given something that it can't work with."""
