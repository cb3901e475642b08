"""What the commands of `mixserve dev` share."""

import contextlib
from collections.abc import Iterator

from mixserve.cli.output import exit_on


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what can be expected to go wrong into a message; to be entered before the first import."""
    try:
        from mixserve_devcluster.errors import DevClusterError

        with exit_on(DevClusterError):
            yield
    except ModuleNotFoundError as error:
        with exit_on(ModuleNotFoundError):
            raise ModuleNotFoundError(
                f"{error}; install the extra, in a checkout of Mixserve: pip install '.[dev]'"
            ) from error
    except OSError as error:
        # A cache or a directory of one's own that can't be written. Without a file it is a bug, for its traceback.
        if error.filename is None:
            raise
        with exit_on(OSError):
            raise OSError(f"{error.filename}: {error.strerror}") from error
