"""The notebooks run from a clean kernel, and their saved outputs are readable."""

import pathlib
import re
import runpy
import shutil

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
LARGEST = 1_500_000  # bytes
# The last line of a saved notebook must have at least this accuracy (chance is 0.25, in the second 0.5), or mAP.
BOUNDS = {
    "1_quick_start": 0.5,
    "2_fine_tune": 0.7,
    "3_two_pathways": 0.5,
    "4_export": 0.5,
    "5_detection": 0.5,
}
SHORTER = {
    r'"epochs": \d+': '"epochs": 3',
    "train=240": "train=32",
    "validation=48": "validation=8",
    "train=8": "train=2",
}


def outputs(notebook):
    """Return all outputs of code cells."""
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def texts(notebook):
    """Return all text outputs of code cells."""
    found = []
    for output in outputs(notebook):
        data = output.get("data", {})
        found += [output.get("text", ""), *(text for kind, text in data.items() if kind.startswith("text/"))]
    return "\n".join(found)


def final(notebook):
    """Return the number that a notebook ends with."""
    (found,) = re.findall(r"^final [\w ]+: (\d\.\d+)", texts(notebook), re.M)
    return float(found)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def saved(path):
    return nbformat.read(path, as_version=4)


def test_there_are_five():
    assert [path.stem for path in NOTEBOOKS] == list(BOUNDS)


@pytest.fixture
def gestures(path, tmp_path, model, folder):
    """Put a clip and a network where the quick start looks for real gestures."""
    if path.stem == "1_quick_start":
        clip = tmp_path / "data/egogestar/testvideo/testvideo_square_3.mp4"
        clip.parent.mkdir(parents=True)
        shutil.copy(next(folder.glob("val/*/*.mp4")), clip)
        (tmp_path / "runs/gestures").mkdir(parents=True)
        model.save(tmp_path / "runs/gestures/model.keras")


@pytest.mark.slow
@pytest.mark.usefixtures("gestures")
def test_runs_from_a_clean_kernel(saved, path, tmp_path, monkeypatch):
    """Every cell runs, on fewer videos and for fewer epochs than in the saved outputs."""
    for cell in saved.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            for long, short in SHORTER.items():
                cell.source = re.sub(long, short, cell.source)
    here, scratch = tmp_path / "here", tmp_path / "scratch"
    here.mkdir()
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))  # which the kernel inherits
    resources = {"metadata": {"path": str(here)}}
    nbclient.NotebookClient(saved, timeout=900, kernel_name="python3", resources=resources).execute()
    assert 0 <= final(saved) <= 1
    for cell in saved.cells:
        if ".exists()" in cell.source:
            assert any("image/png" in output.get("data", {}) for output in cell.outputs), "the real clip is not shown"
    assert not list(here.iterdir()), "a notebook writes to a directory of its own"


def test_outputs_are_saved(saved, path):
    """The outputs are from one run from the top, without errors; each figure and each `print` of a cell has one."""
    nbformat.validate(saved)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(output.output_type != "error" for output in outputs(saved))
    for cell in code:
        if "print(" in cell.source or "verbose=2" in cell.source:
            assert any(output.output_type == "stream" for output in cell.outputs), cell.source
        optional = ".exists()" in cell.source  # real clips, of which the repository holds no frame
        if ("subplots(" in cell.source or "Image(" in cell.source) and not optional:
            assert any("image/png" in output.get("data", {}) for output in cell.outputs), cell.source
    assert final(saved) >= BOUNDS[path.stem]


def test_outputs_read_well(saved, path):
    """No path of a machine, no warning, no progress bar, nothing from standard error, and not too much."""
    words = texts(saved)
    for bad in (
        r"(?<![\w.])/(home|root|tmp|usr|work|var|Users|opt|mnt)/",
        r"[Ww]arning",
        r"it/s\]",
        r"\d+%\|",
        r"\r",
        r"\x08",
    ):
        assert not re.search(bad, words), f"{bad}: {re.search(f'.*{bad}.*', words).group()}"
    assert all(output.get("name") != "stderr" for output in outputs(saved))
    assert path.stat().st_size < LARGEST


def test_metadata_is_clean(saved):
    assert saved.metadata.kernelspec.name == "python3"
    assert set(saved.metadata) <= {"kernelspec", "language_info"}
    assert all(not cell.metadata for cell in saved.cells)


def test_links_to_colab(tmp_path):
    """Once the repository has an address, one command links the notebooks. Another address replaces the first one."""
    colab = runpy.run_path(str(ROOT / ".ci/colab.py"))
    for path in NOTEBOOKS:
        shutil.copy(path, tmp_path)
    for repository in ("https://github.com/old/name", "https://github.com/a/b"):
        colab["main"](repository, tmp_path)
    for path in NOTEBOOKS:
        notebook = nbformat.read(tmp_path / path.name, as_version=4)
        nbformat.validate(notebook)
        title, install = (cell.source for cell in notebook.cells[:2])
        link = f"[Open in Colab](https://colab.research.google.com/github/a/b/blob/main/notebooks/{path.name})"
        assert title.split("\n")[2] == link and title.count("colab") == 1
        # The clone is what the next lines install.
        first, second = re.findall(r"^    (!git clone .*|package = .*)", install, re.M)
        assert first == "!git clone --quiet --depth 1 https://github.com/a/b slowfast_tf"
        assert 'glob("slowfast_tf*")' in second
        assert notebook.cells[2:] == nbformat.read(path, as_version=4).cells[2:]
    with pytest.raises(SystemExit, match="must be like https://github.com/OWNER/NAME; got nowhere"):
        colab["main"]("nowhere", tmp_path)
