"""Downloads of published files, from a server in the test."""

import concurrent.futures
import hashlib

import pytest
from helpers.files_server import serve_files

from slowfast_tf.checkpoints.download import download
from slowfast_tf.errors import InputError

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def server():
    with serve_files() as server:
        server.files["/a.pkl"] = CONTENT
        yield server


def asked(server):
    return [header for _, _, header in server.requests]


def test_a_file_is_downloaded_once(server, tmp_path, capsys):
    path = tmp_path / "new" / "a.pkl"
    for _ in range(2):
        download(f"{server.address}/a.pkl", path)
        assert path.read_bytes() == CONTENT and asked(server) == [None]
        assert [p.name for p in path.parent.iterdir()] == ["a.pkl"]
    # Standard output has the results of a command.
    assert capsys.readouterr() == ("", f"downloading {server.address}/a.pkl\n")


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_is_resumed(server, tmp_path, ranges):
    path, half = tmp_path / "a.pkl", len(CONTENT) // 2
    server.ranges = ranges
    server.stops.add("/a.pkl")
    with pytest.raises(InputError, match=rf"a\.pkl (stopped at {half:,} of|\(IncompleteRead).*{path} yourself"):
        download(f"{server.address}/a.pkl", path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.pkl.part"]
    download(f"{server.address}/a.pkl", path)
    assert asked(server) == [None, f"bytes={half}-"]
    assert path.read_bytes() == CONTENT and [p.name for p in tmp_path.iterdir()] == ["a.pkl"]


def test_several_downloads_of_one_file(server, tmp_path):
    """One downloads and the others wait. If it fails, the next one resumes. Processes use the same lock."""
    path, half = tmp_path / "a.pkl", len(CONTENT) // 2
    server.pause = 0.2
    server.stops.add("/a.pkl")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(download, f"{server.address}/a.pkl", path) for _ in range(4)]
    (failure,) = filter(None, (job.exception() for job in jobs))
    assert isinstance(failure, InputError) and asked(server) == [None, f"bytes={half}-"]
    assert path.read_bytes() == CONTENT and [p.name for p in tmp_path.iterdir()] == ["a.pkl"]


def test_a_partial_download_that_is_complete_or_too_long(server, tmp_path):
    path, part = tmp_path / "a.pkl", tmp_path / "a.pkl.part"
    part.write_bytes(CONTENT)
    download(f"{server.address}/a.pkl", path)
    assert path.read_bytes() == CONTENT
    path.unlink()
    part.write_bytes(CONTENT + b"more")
    with pytest.raises(InputError, match="has changed since the download began"):
        download(f"{server.address}/a.pkl", path)
    assert not list(tmp_path.iterdir())
    download(f"{server.address}/a.pkl", path)
    assert path.read_bytes() == CONTENT


def test_a_wrong_file_is_removed(server, tmp_path):
    digest = hashlib.sha256(CONTENT).hexdigest()[:8]
    for name in (f"a-{digest}.pth", "a-00000000.pth"):
        server.files[f"/{name}"] = CONTENT
    download(f"{server.address}/a-{digest}.pth", tmp_path / "a.pth")
    with pytest.raises(InputError, match=f"a-00000000.pth is damaged .SHA-256 {digest}.*removed from {tmp_path}"):
        download(f"{server.address}/a-00000000.pth", tmp_path / "b.pth")
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]


def test_an_answer_that_is_not_the_file(server, tmp_path):
    path = tmp_path / "a.pkl"
    server.headers["/a.pkl"] = {"Content-Type": "text/html; charset=utf-8"}
    for name, reason in (("a.pkl", "a web page came instead of the file"), ("b.pkl", "Not Found")):
        with pytest.raises(
            InputError, match=rf"^cannot download \S+/{name} \({reason}\); .*put the file at {path} you"
        ):
            download(f"{server.address}/{name}", path)
    assert not list(tmp_path.iterdir())


def test_no_connection(tmp_path):
    with serve_files() as server:
        address = f"{server.address}/a.pkl"
    path = tmp_path / "a.pkl"
    with pytest.raises(InputError, match=rf"^cannot download {address} \(.*refused\); .* put the file at {path} yours"):
        download(address, path)
    path.write_bytes(CONTENT)  # by hand
    download(address, path)


def test_a_directory_that_cannot_be_created(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"^cannot write {tmp_path}/file/slowfast_tf: .*; set KERAS_HOME to another"):
        download(f"{server.address}/a.pkl", tmp_path / "file" / "slowfast_tf" / "a.pkl")
    assert not server.requests
