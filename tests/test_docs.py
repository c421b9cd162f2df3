"""The documentation builds, and every link and cross-reference in it leads somewhere."""

import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys

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
    assert "Heat maps of a class, one for each pathway" in page


def test_a_broken_link_is_told(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    config = (ROOT / "mkdocs.yml").read_text()
    # Without the API reference, which takes seconds.
    (tmp_path / "mkdocs.yml").write_text(config[: config.index("plugins:")] + config[config.index("validation:") :])
    (tmp_path / "docs" / "api.md").write_text("# Python\n\n[x](none.md)\n\n[y](index.md#none)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1 and "none.md" in done.stderr and "#none" in done.stderr


def test_names_exist():
    """What pages and docstrings call `slowfast_tf.X.Y` can be imported by that name."""
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("slowfast_tf/**/*.py"),
    ]
    missing = []
    for page in pages:
        for name in sorted(set(re.findall(r"\bslowfast_tf(?:\.(?!X\b)[A-Za-z]\w*)+", page.read_text()))):
            try:
                pkgutil.resolve_name(name)
            except (ImportError, AttributeError):
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert not missing, "\n".join(["", *missing])
