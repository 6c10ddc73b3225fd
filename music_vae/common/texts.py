"""Texts from files, which may hold any character, made fit to be shown."""


def printable(text: str, keep: str = "") -> str:
    r"""Returns a text whose characters that do not print are written as Python writes them.

    For what comes from a file and is to be printed or drawn as it is, such as names.

    >>> print(printable("lstm/\x1b[31mkernel\n"))
    lstm/\x1b[31mkernel\n

    Args:
      text: The text.
      keep: Characters that stay.
    """
    return "".join(
        char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text
    )
