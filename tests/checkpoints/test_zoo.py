"""Published models by name, from a server in the test."""

import hashlib
import http.server
import threading

import numpy as np
import pytest
from helpers.earlier import forget
from helpers.golden import needs_torch, torch, torch_slowfast

import slowfast_tf
from slowfast_tf import checkpoints
from slowfast_tf.checkpoints import zoo
from slowfast_tf.checkpoints.published import Published
from slowfast_tf.errors import InputError
from slowfast_tf.models.views import Views

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
    network = torch_slowfast.SlowFast(10, width=8, beta_inv=4, lateral_kernel=5, classes=174)
    torch.save(network.state_dict(), tmp_path / "made.pth")
    Server.content, Server.requests = (tmp_path / "made.pth").read_bytes(), []
    digest = hashlib.sha256(Server.content).hexdigest()[:8]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    known = {"frames": 2, "stride": 8, "alpha": 4, "activation": "sigmoid", "frame_rate": 24, "views": Views(4, 1)}
    for name, mark in (("made_here", digest), ("damaged", "00000000")):
        made = Published(f"{address}/made-{mark}.pth", "ssv2", "", {}, "slowfast_8x8_r50", known, {})
        monkeypatch.setitem(zoo.MODELS, name, made)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "slowfast_tf"

    with pytest.raises(InputError, match="no published model 'made_her'; did you mean 'made_here'"):
        checkpoints.from_pretrained("made_her")
    half = len(Server.content) // 2
    with pytest.raises(InputError, match=f"stopped at {half:,} of {len(Server.content):,} bytes; run again"):
        checkpoints.from_pretrained("made_here")
    assert [p.name for p in folder.iterdir()] == ["made_here.pth.part"]
    model = checkpoints.from_pretrained("made_here")
    assert Server.requests == [None, f"bytes={half}-"]
    assert (folder / "made_here.pth").read_bytes() == Server.content
    assert {p.name for p in folder.iterdir()} == {"made_here.pth", "made_here.keras"}
    with pytest.raises(InputError, match="is damaged"):
        checkpoints.from_pretrained("damaged")
    assert {p.name for p in folder.iterdir()} == {"made_here.pth", "made_here.keras"}

    server.shutdown()
    server.server_close()
    again = checkpoints.from_pretrained("made_here")  # needs no server any more
    assert again.spec == model.spec and again.spec.activation == "sigmoid" and again.spec.frames == 2
    clip = np.random.default_rng(0).normal(size=(1, 8, 32, 32, 3)).astype("float32")
    inputs = {"slow": clip[:, list(model.spec.slow_index)], "fast": clip}
    with torch.no_grad():
        expected = network.eval()(*(torch.from_numpy(x).permute(0, 4, 1, 2, 3) for x in inputs.values())).numpy()
    for m in (model, again):
        np.testing.assert_allclose(np.asarray(m(inputs)), expected, atol=1e-5)
    # What an earlier version converted has no protocol; the published file is still there.
    forget(folder / "made_here.keras", "frame_rate", "views", "person_score")
    third = checkpoints.from_pretrained("made_here")
    assert third.spec == model.spec and not third.unstated
    assert third.spec.frame_rate == 24 and str(third.spec.views) == "4x1"
    assert third.spec.labels[0] == "Approaching something with your camera" and len(third.spec.labels) == 174
    assert slowfast_tf.load(folder / "made_here.keras").spec == model.spec
    (folder / "made_here.pth").unlink()
    (folder / "made_here.keras").unlink()
    with pytest.raises(InputError, match="cannot download .*refused.*check the connection.*put the file at"):
        checkpoints.from_pretrained("made_here")
