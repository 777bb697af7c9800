"""The base of this package's own errors, which explain themselves."""


class ExplainedError(Exception):
    """An error whose message is all that a user needs to mend its cause.

    The command prints it as one line. What is no such error, no ValueError and
    no OSError is a mistake of the program, and keeps its traceback.
    """
