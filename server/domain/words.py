"""Words that others have chosen, as they may be shown."""

_INSTEAD = "\N{REPLACEMENT CHARACTER}"


def printable(words: str) -> str:
    """``words`` without letters that steer terminals, end lines or turn around what stands beside.

    A � stands in the place of each, so that it can be seen that there was something.
    """
    if words.isprintable():
        return words
    return "".join(letter if letter.isprintable() else _INSTEAD for letter in words)
