"""What a drawing is made of: lines of styled text, which `sleepcli.ui` puts on the screen."""

Span = tuple[str, str]
"""A piece of text and its style: `bold`, `dim`, or the name of a colour; an empty style is plain text."""
Line = tuple[Span, ...]
"""One line of a drawing. The text alone says everything: styles help, and never carry the meaning."""


def plain(text: str = "", style: str = "") -> Line:
    """Give a line of one piece."""
    return ((text, style),)
