"""Words for messages: the line of an error that says what is wrong."""

import re

# Names of nodes and functions: {{node x}}, [[{{node x}}]], [Op:x] name: y; and
# what makes Keras' messages bold.
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
    except Exception:  # of a class whose own __str__ fails
        return ""


def first_line(error: BaseException) -> str:
    """Returns the line of an error that says what is wrong.

    Errors of TensorFlow's operations come with a stack of their own, names of
    nodes, and sometimes other errors; of those only what is meant for people.
    """
    text = re.sub(_NAMES, "", _text(error))
    if text.lstrip().startswith("in user code:"):
        text = _of_traced(text)
    lines = [line.strip() for line in text.splitlines()]
    lines = [
        line
        for line in lines
        if line and not line.startswith(_FRAMES) and "root error(s)" not in line
    ]
    return lines[0] if lines else type(error).__name__


def _of_traced(text):
    """Returns what an error raised while tracing says.

    AutoGraph puts the lines of code before it: `    ValueError: what it says`.
    """
    starts = list(re.finditer(r"^    (\w*\.)*[A-Z]\w*: ", text, re.MULTILINE))
    return text[starts[-1].end() :] if starts else text


def with_article(thing: object, article: str = "a") -> str:
    """Returns the name of an object's class, with "a" or "an".

    Args:
        thing: any object.
        article: "a", or "A" at the beginning of a sentence.

    Example:

    >>> with_article([]), with_article(0, "A")
    ('a list', 'An int')
    """
    name = type(thing).__name__
    return f"{article}{'n' * (name[0] in 'AEIOUaeiou')} {name}"
