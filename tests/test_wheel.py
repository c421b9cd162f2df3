"""The wheel is complete: in a fresh environment, it trains from a shipped configuration by its name."""

import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest
from helpers.processes import AS_COMMAND

ROOT = pathlib.Path(__file__).parents[1]


def run(*command, directory):
    """Run a command without the repository on its path; return its output."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def _has_setuptools():
    try:
        return int(importlib.metadata.version("setuptools").partition(".")[0]) >= 77
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Copy the files of the repository, because building leaves files behind. The directory has a clone's name."""
    source = tmp_path_factory.mktemp("source") / "slowfast_tf"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("slowfast_tf", "configs"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return source


# An environment for building need not be downloaded.
ISOLATION = ["--no-build-isolation"] if _has_setuptools() else []


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    """The wheel of the copy."""
    output = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", output, *ISOLATION]
    run(*pip, source, directory=source)
    (wheel,) = output.glob("slowfast_tf-*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(built, tmp_path_factory):
    """The Python of a fresh environment with the wheel. Its dependencies are those of this environment."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", built, directory=place)
    # As a plain folder of modules: its .pth files, such as that of an editable install of the repository, do not count.
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", directory=place).strip()
    pathlib.Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_package_is_the_wheels(python, tmp_path):
    script = "import slowfast_tf.config as c, json; print(json.dumps([c.__file__, c.shipped()]))"
    file, names = json.loads(run(python, "-c", AS_COMMAND + script, directory=tmp_path))
    assert pathlib.Path(file).is_relative_to(python.parents[1])
    assert set(names) == {str(p.relative_to(ROOT / "configs").with_suffix("")) for p in ROOT.glob("configs/**/*.json")}


def test_the_wheel_has_the_class_names(python, tmp_path):
    script = "from slowfast_tf import labels; print(*(len(labels.dataset_labels(n)) for n in labels.DATASETS))"
    assert run(python, "-c", AS_COMMAND + script, directory=tmp_path).split() == "400 600 700 710 157 80 174 66".split()


def test_an_editable_install_beside_its_clone(source, tmp_path):
    """In the directory that contains the clone, Python finds the package, not the folder with the package's name."""
    venv.create(tmp_path, with_pip=False)
    # Without --ignore-installed, pip would uninstall the package of this environment.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed", *ISOLATION]
    run(*pip, "--prefix", tmp_path, "--editable", source, directory=tmp_path)
    script = "import importlib.util; print(importlib.util.find_spec('slowfast_tf').origin)"
    found = run(tmp_path / "bin" / "python", "-c", script, directory=source.parent)
    assert found.strip() == str(source / "slowfast_tf" / "__init__.py")


def test_describe_by_the_console_command(python, tmp_path):
    command = python.parent / "slowfast_tf"
    words = run(command, "describe", "slowfast_8x8_r50", directory=tmp_path)
    assert words == run(python, "-m", "slowfast_tf.describe", "slowfast_8x8_r50", directory=tmp_path)
    assert "res5" in words
    assert "  train " in run(command, "--help", directory=tmp_path)


@pytest.mark.slow
def test_one_step_from_a_shipped_configuration(python, folder, tmp_path):
    """In an empty directory; 8 videos are one batch."""
    changes = ["data.dataset=folder", f"data.root={folder}", "data.crop_size=32", "data.short_sides=[32, 40]"]
    changes += ["model.depth=10", "model.width=8", "model.crop_size=32", "export=[]", "test.clips=1"]
    changes += ["train.epochs=1", "train.batch_size=8", "train.warmup_epochs=0"]
    command = [python.parent / "slowfast_tf", "train", "--config", "demo"]
    for change in changes:
        command += ["--set", change]
    run(*command, directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert (tmp_path / "runs/demo/model.keras").exists() and "top1" in (tmp_path / "runs/demo/metrics.json").read_text()
