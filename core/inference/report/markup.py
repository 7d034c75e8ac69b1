"""Elements of HTML: text and attributes are escaped here and nowhere else."""

import unicodedata
from html import escape as escaped


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def plain(text: str) -> str:
    """Text without characters that no file can hold: control characters and halves of characters become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in text)


def escape(text: str) -> str:
    """Text as it may stand in HTML or SVG, in an element or between the quotes of an attribute."""
    return escaped(plain(text), quote=True)


def element(name: str, /, *content: str, **attributes: object) -> Markup:
    """Write an element.

    Parameters
    ----------
    name
        Its tag.
    content
        What stands in it: `Markup` as it is, any other text escaped.
    attributes
        Their values are escaped; a trailing `_` is dropped and `_` becomes `-` (`class_`, `aria_label`); None and
        False leave the attribute out, True gives it no value.
    """
    told = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    inner = "".join(part if isinstance(part, Markup) else escape(part) for part in content)
    return Markup(f"<{name}{told}>" if name in _EMPTY else f"<{name}{told}>{inner}</{name}>")


def joined(parts: "list[Markup]") -> Markup:
    """Elements one after the other."""
    return Markup("".join(parts))


_EMPTY = ("input", "br", "meta", "hr")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
