"""Shows the examples of docstrings as blocks of Python in the reference of `docs`.

A docstring has its examples as Python's `doctest` reads them: `>>>` and what is printed, up to an
empty line. Markdown takes these marks for quotations, and lists of numbers for links; this
extension of griffe, which reads the docstrings for mkdocs, puts fences around them.
"""

from typing import Any

import griffe


class DocstringExamples(griffe.Extension):
    """Puts fences around the examples in every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Returns a docstring with a fenced block for each example.

    >>> print(fenced("Adds.\\n\\n>>> 1 + 1\\n2\\n\\nThat is all."))
    Adds.
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    <BLANKLINE>
    That is all.
    """
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        if not inside and line.lstrip().startswith(">>> "):
            inside, opened = True, indent
            lines.append(f"{indent}```pycon")
        elif inside and not line.strip():
            inside = False
            lines.append(f"{opened}```")
        lines.append(line)
    return "\n".join([*lines, f"{opened}```"] if inside else lines)
