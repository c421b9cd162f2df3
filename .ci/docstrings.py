"""An extension of Griffe, which reads the docstrings for the API reference."""

import re

import griffe


class Examples(griffe.Extension):
    """Rename the section "Example" to "Examples".

    Griffe prints only the latter as code. The former is a note in Markdown: `>>>` becomes three nested quotes, and
    `]` before a line `[0, 0]` a link.
    """

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
