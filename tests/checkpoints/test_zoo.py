"""Published models by name, from a server in the test."""

import hashlib
import http.server
import threading

import numpy as np
import pytest
from helpers.golden import needs_torch, torch, torch_slowfast

from slowfast_tf import checkpoints
from slowfast_tf.checkpoints import zoo
from slowfast_tf.errors import InputError

# The zoo.


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `content`; breaks the first connection in the middle."""

    content, requests = b"", []

    def do_GET(self):
        start = self.headers.get("Range")
        self.requests.append(start)
        first = int(start.removeprefix("bytes=").rstrip("-")) if start else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {first}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(self.content) - first))
        self.end_headers()
        self.wfile.write(self.content[first : len(self.content) // 2 if len(self.requests) == 1 else None])

    def log_message(self, *arguments):
        pass


@pytest.mark.legacy
@needs_torch
def test_from_pretrained(tmp_path, monkeypatch):
    network = torch_slowfast.SlowFast(10, width=8, beta_inv=4, lateral_kernel=5, classes=6)
    torch.save(network.state_dict(), tmp_path / "made.pth")
    Server.content, Server.requests = (tmp_path / "made.pth").read_bytes(), []
    digest = hashlib.sha256(Server.content).hexdigest()[:8]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    known = {"frames": 2, "stride": 8, "alpha": 4, "activation": "sigmoid"}
    monkeypatch.setitem(zoo.MODELS, "made", (f"{address}/made-{digest}.pth", known))
    monkeypatch.setitem(zoo.MODELS, "damaged", (f"{address}/made-00000000.pth", known))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "slowfast_tf"

    with pytest.raises(InputError, match="no published model 'mad'; did you mean 'made'"):
        checkpoints.from_pretrained("mad")
    half = len(Server.content) // 2
    with pytest.raises(InputError, match=f"stopped at {half:,} of {len(Server.content):,} bytes; run again"):
        checkpoints.from_pretrained("made")
    assert [p.name for p in folder.iterdir()] == ["made.pth.part"]
    model = checkpoints.from_pretrained("made")
    assert Server.requests == [None, f"bytes={half}-"]
    assert (folder / "made.pth").read_bytes() == Server.content
    assert {p.name for p in folder.iterdir()} == {"made.pth", "made.keras"}
    with pytest.raises(InputError, match="came damaged"):
        checkpoints.from_pretrained("damaged")
    assert {p.name for p in folder.iterdir()} == {"made.pth", "made.keras"}

    server.shutdown()
    server.server_close()
    again = checkpoints.from_pretrained("made")  # needs no server any more
    assert again.spec == model.spec and again.spec.activation == "sigmoid" and again.spec.frames == 2
    clip = np.random.default_rng(0).normal(size=(1, 8, 32, 32, 3)).astype("float32")
    inputs = {"slow": clip[:, list(model.spec.slow_index)], "fast": clip}
    with torch.no_grad():
        expected = network.eval()(*(torch.from_numpy(x).permute(0, 4, 1, 2, 3) for x in inputs.values())).numpy()
    for m in (model, again):
        np.testing.assert_allclose(np.asarray(m(inputs)), expected, atol=1e-5)
    (folder / "made.pth").unlink()
    (folder / "made.keras").unlink()
    with pytest.raises(InputError, match="cannot download .*refused.*check the connection.*put the file at"):
        checkpoints.from_pretrained("made")


@pytest.mark.legacy
def test_zoo_addresses():
    for name, (address, known) in zoo.MODELS.items():
        assert address.startswith("https://") and address.endswith((".pkl", ".pyth", ".pth"))
        size = f"{known['frames']}x{known['stride']}"
        assert name.split("_")[1] == size and size in address
        assert name.endswith(("_pyslowfast", "_pytorchvideo", "_mmaction2"))
