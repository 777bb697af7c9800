"""Parts of messages: the informative line of an error, names of classes."""

import re

# Names of nodes and functions: {{node x}}, [[{{node x}}]], [Op:x] name: y; and
# the escape sequences of Keras' bold messages.
_NAMES = r"\{\{.*?\}\}|\[\[.*?\]\]|\[Op:\w+\]( name: \S*)?|\x1b\[\d*m"
_FRAMES = (
    "Graph execution error",
    "Detected at node",
    "Exception encountered when calling",
    "File ",
    "Traceback",
    "<stack traces unavailable>",
)


def _text(error):
    try:
        return str(getattr(error, "message", None) or error)
    except Exception:  # raised by the __str__ of the error's class
        return ""


def first_line(error: BaseException) -> str:
    """Returns the line of an error that says what is wrong.

    Messages of TensorFlow also contain stacks, names of nodes, and sometimes
    other errors, all of which are dropped.
    """
    text = re.sub(_NAMES, "", _text(error))
    if text.lstrip().startswith("in user code:"):
        # AutoGraph puts lines of code before "    ValueError: message".
        start = r"^    (\w*\.)*[A-Z]\w*: "
        found = [*re.finditer(start, text, re.MULTILINE)]
        text = text[found[-1].end() :] if found else text
    for line in map(str.strip, text.splitlines()):
        dropped = line.startswith(_FRAMES) or "root error(s)" in line
        if line and not dropped:
            return line
    return type(error).__name__


def with_article(thing: object, article: str = "a") -> str:
    """Returns the name of an object's class, with "a" or "an".

    Args:
        thing: any object.
        article: "a" (default), or "A" at the beginning of a sentence.

    Example:

    >>> with_article([]), with_article(0, "A")
    ('a list', 'An int')
    """
    name = type(thing).__name__
    return f"{article}{'n' * (name[0] in 'AEIOUaeiou')} {name}"
