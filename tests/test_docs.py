"""The documentation builds, and every link, cross-reference, key and option in it exists."""

import dataclasses
import importlib
import json
import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys

import pytest

from slowfast_tf.config.schema import Config
from slowfast_tf.models.spec import SlowFastSpec

ROOT = pathlib.Path(__file__).parents[1]


def build(root, output):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(output)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def test_site(tmp_path):
    done = build(ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "api" / "index.html").read_text()
    for name in (
        "models.slowfast.SlowFast",
        "config.loading.load",
        "data.sampling.clip_frames",
        "inference.explain.grad_cam",
    ):
        assert f'id="slowfast_tf.{name}"' in page
    assert "heat maps of a class, one for each pathway" in page
    # Examples are code. As notes in Markdown they would be quotes in quotes.
    assert '<span class="gp">&gt;&gt;&gt; </span>' in page and "<blockquote>" not in page


def test_a_broken_link_is_reported(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    config = (ROOT / "mkdocs.yml").read_text()
    # Without the API reference, which takes seconds.
    (tmp_path / "mkdocs.yml").write_text(config[: config.index("plugins:")] + config[config.index("validation:") :])
    (tmp_path / "docs" / "api.md").write_text("# Python\n\n[x](none.md)\n\n[y](index.md#none)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1 and "none.md" in done.stderr and "#none" in done.stderr


def test_pages_are_short():
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    lengths = {str(page.relative_to(ROOT)): len(page.read_text().splitlines()) for page in pages}
    assert not {page: length for page, length in lengths.items() if length > 150}


def links_in(path):
    """Return the relative links of a page or a notebook, including links of images."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        text = "\n\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)  # code
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


def anchors_in(path):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_outside_of_the_site():
    """Files and anchors of relative links. MkDocs checks the pages of the site."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("notebooks/*.ipynb")]
    links = [(page, link) for page in pages for link in links_in(page)]
    assert len(links) > 40
    broken = []
    for page, link in links:
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        if not path.exists() or (anchor and anchor not in anchors_in(path)):
            broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert not broken, "\n".join(["", *broken])


def names_in(text):
    """Return the names `slowfast_tf.X.Y` in a text, and its imports `from slowfast_tf.X import Y`."""
    found = set(re.findall(r"\bslowfast_tf(?:\.(?!X\b)[A-Za-z]\w*)+", text))
    for module, names in re.findall(r"\bfrom (slowfast_tf[\w.]*) import (\w+(?: as \w+)?(?:, \w+(?: as \w+)?)*)", text):
        found |= {f"{module}.{name.split()[0]}" for name in names.split(", ")}
    return sorted(found)


def test_names_exist():
    """Every name `slowfast_tf.X.Y` in pages, notebooks and docstrings can be imported."""
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("notebooks/*.ipynb"),
        *ROOT.glob("slowfast_tf/**/*.py"),
    ]
    missing = []
    for page in pages:
        for name in names_in(page.read_text()):
            try:
                pkgutil.resolve_name(name)
            except (ImportError, AttributeError):
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert not missing, "\n".join(["", *missing])


def test_imports_are_names():
    """Also several in a line, under another name, and behind the `\\n` of a notebook."""
    text = r'"from slowfast_tf.data import Clips, load\n", "from slowfast_tf.video import probe as look"; slowfast_tf.X'
    assert names_in(text) == [
        "slowfast_tf.data",
        "slowfast_tf.data.Clips",
        "slowfast_tf.data.load",
        "slowfast_tf.video",
        "slowfast_tf.video.probe",
    ]


def test_paths_exist():
    """The files of the package that pages name are there."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    named = {(page, path) for page in pages for path in re.findall(r"\bslowfast_tf/[\w/]+\.py\b", page.read_text())}
    missing = [f"{page.relative_to(ROOT)}: {path}" for page, path in sorted(named) if not (ROOT / path).is_file()]
    assert named and not missing, "\n".join(["", *missing])


def configuration_keys():
    """Return every key of a configuration, such as "seed" and "train.epochs"."""
    keys = {f"model.{field.name}" for field in dataclasses.fields(SlowFastSpec)} - {"model.views"}
    for name, field in Config.model_fields.items():
        section = getattr(field.annotation, "model_fields", None)
        keys |= {f"{name}.{key}" for key in section} if section else {name}
    return keys


def options_of(command, capsys):
    """Return the options that the help of a command, such as "train" or "benchmark input", lists."""
    module, *rest = command.split()
    with pytest.raises(SystemExit):
        importlib.import_module(f"slowfast_tf.{module}").main([*rest, "--help"])
    return set(re.findall(r"--[\w-]+", capsys.readouterr().out.partition("example:")[0]))


def test_commands_exist(capsys):
    """The commands of pages have these options, and a configuration has the keys that they set."""
    keys, options, unknown = configuration_keys(), {}, []
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")):
        text = re.sub(r"\\\n\s*", "", page.read_text())
        for module, rest in re.findall(r"\bslowfast_tf[. ]([a-z_]+) ([^`\n|]*)", text):
            if not (ROOT / "slowfast_tf" / f"{module}.py").is_file():
                continue
            command = f"{module} {rest.split()[0]}" if module == "benchmark" else module
            if command not in options:
                options[command] = options_of(command, capsys)
            # Apache Beam has the other options of prepare.
            given = set() if "--runner" in rest else set(re.findall(r"(?<!\S)--[\w-]+", rest))
            unknown += [f"{page.name}: {command} {option}" for option in given - options[command]]
        unknown += [f"{page.name}: {key}" for key in re.findall(r"--set '?([a-z][\w.]*)=", text) if key not in keys]
    assert len(options) > 12 and not unknown


def test_pyslowfast_options_have_equivalents(capsys):
    """Every equivalent that the page names is a key of a configuration or an option of a command."""
    text = (ROOT / "docs" / "pyslowfast.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    rows = [row for row in rows if len(row) == 3 and row[0].startswith("`")]
    names = [name for row in rows for name in re.findall(r"`(.+?)`", row[0])]
    assert len(names) == len(set(names)) > 100
    here = sorted({name for row in rows for name in re.findall(r"`(.+?)`", row[1])})
    options = {name: options_of(name, capsys) for name in {entry.split()[0] for entry in here if "--" in entry}}
    known = configuration_keys() | {f"{command} {option}" for command in options for option in options[command]}
    assert not [entry for entry in here if entry not in known]


def test_the_first_lines_of_the_readme(capsys):
    """They run, on a small network and a video of the tests, and print the name of a class."""
    block = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    files = {"slowfast_8x8_r50_k400": "run", "holiday.mp4": "bars.mp4"}
    for name, file in files.items():
        assert block.count(f'"{name}"') == 1
        block = block.replace(name, str(ROOT / "tests" / "earlier" / file))
    exec(block, {})
    assert capsys.readouterr().out.strip() in ("bend", "jump", "turn")


def test_links_of_the_readme():
    """Its files and headings exist. MkDocs checks the links of the other pages."""
    links = re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", (ROOT / "README.md").read_text())
    missing = [file for file, _ in links if not (ROOT / file).exists()]
    for file, heading in links:
        lines = (ROOT / (file or "README.md")).read_text().splitlines() if heading else []
        titles = [re.sub(r"[^\w -]", "", line).strip() for line in lines if line.startswith("#")]
        if heading and heading not in [title.lower().replace(" ", "-") for title in titles]:
            missing.append(f"{file}#{heading}")
    assert len(links) > 30 and not missing


@pytest.mark.parametrize("page, words", [("multi_machine.md", "TF_CONFIG="), ("prepare.md", "--runner=DaskRunner")])
def test_two_machines_come_first(page, words):
    """The first five lines say what to type for two machines."""
    assert words in "".join((ROOT / "docs" / page).read_text().splitlines()[:5])
