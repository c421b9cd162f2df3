"""Link the notebooks to Colab, once the repository has a public address.

    python .ci/colab.py https://github.com/OWNER/NAME

Each notebook gets a link below its title, and its first cell clones the repository if the package is not installed.
The script may run again with another address.
"""

import pathlib
import re
import sys

import nbformat

NOTEBOOKS = pathlib.Path(__file__).parents[1] / "notebooks"
LINK = re.compile(r"\n\n\[Open in Colab\]\(.*\)")
CLONE = re.compile(r"\n    !git clone .*")
INSTALL = "\n    # A clone, "  # the comment before which the first cell clones


def link(notebook: nbformat.NotebookNode, name: str, address: str) -> None:
    """Add the link and the clone of `address`, such as "https://github.com/OWNER/NAME", to the notebook file `name`."""
    title, install = notebook.cells[:2]
    assert install.source.count(INSTALL) == 1, f"the first code cell of {name} has no line {INSTALL.strip()!r}"
    colab = address.replace("https://github.com/", "https://colab.research.google.com/github/")
    lines = LINK.sub("", title.source).split("\n", 1)
    title.source = f"{lines[0]}\n\n[Open in Colab]({colab}/blob/main/notebooks/{name})\n{lines[1]}"
    clone = f"\n    !git clone --quiet --depth 1 {address} slowfast_tf"
    install.source = CLONE.sub("", install.source).replace(INSTALL, clone + INSTALL)


def main(address: str, directory: pathlib.Path = NOTEBOOKS) -> None:
    """Link all notebooks of a directory."""
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        sys.exit(f"error: the address must be like https://github.com/OWNER/NAME; got {address}")
    for path in sorted(directory.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        link(notebook, path.name, address)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(*sys.argv[1:2] or [""])
