"""Whether a signal asked to stop. The exception that the handler raises is swallowed by some libraries, so steps ask here as well."""
_requested = False


def request():
    global _requested
    _requested = True


def is_requested():
    return _requested


def check():
    """Raises KeyboardInterrupt where stopping was asked for."""
    if _requested:
        raise KeyboardInterrupt
