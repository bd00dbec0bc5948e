"""The one exception for mistakes that a user can mend."""


class ProtoSagaError(RuntimeError):
    """Bad input or a missing prerequisite.

    The message says what is wrong, in which file, what was expected and what to do next. Commands print it as
    one line on stderr and exit with code 2.
    """
