"""What ends the work early, with the exit status that it stands for."""
import errno

FAILED, WRONG_USAGE = 1, 2  # as every command of framemill


class PrepareError(Exception):
    """A message for the user: what, where, and what helps."""

    def __init__(self, message, status=FAILED):
        super().__init__(message)
        self.status = status


def refused(message):
    """Input that cannot be used: nothing was started."""
    return PrepareError(message, WRONG_USAGE)


def of_system(error, place):
    """What the system said of a file, in words with a remedy. `place`: the folder that is written to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PrepareError(f"{place}: no space left; free some (docs/prepare.md says how much a model takes) and run the same command again: "
                            "finished steps are kept")
    name = error.filename or place
    return PrepareError(f"{name}: {error.strerror or error}")
