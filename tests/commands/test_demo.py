"""The page, in a real browser."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from helpers.coded_video import write
from helpers.expected import window_scores
from helpers.pictures import CLASSES, picture

from slowfast_tf import demo
from slowfast_tf.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def address(saved):
    """The address that `python -m slowfast_tf.demo` prints. It exits without an error on Ctrl-C."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "slowfast_tf.demo", "--model", str(saved), "--port", str(port), "--limit", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = server.stdout.readline()
    assert line == f"http://127.0.0.1:{port}/ (Ctrl-C ends it)\n", server.communicate(timeout=10)
    yield line.split()[0]
    server.send_signal(2)
    try:
        out, error = server.communicate(timeout=100)
    finally:
        server.kill()
    assert server.returncode == 0 and "Traceback" not in error, (out, error)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not CHROMIUM or not DRIVER:
        pytest.skip("no Chromium")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "disable-dev-shm-usage",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "window-size=1200,1500",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def find(browser, selector, says="", seconds=60):
    """The text of an element, after waiting until it contains some words."""
    end = time.monotonic() + seconds
    while True:
        found = [e.get_attribute("textContent") for e in browser.find_elements("css selector", selector)]
        if found and says in found[0]:
            return found[0]
        assert time.monotonic() < end, (selector, says, found, browser.find_element("css selector", "body").text)
        time.sleep(0.2)


def test_drop_a_video(browser, address, infer, tmp_path):
    good = write(tmp_path / "good.mp4", [picture(2, t % 50) for t in range(60)], qp=10, pix_fmt="yuv420p")
    (tmp_path / "bad.mp4").write_text("no video")
    browser.get(address)
    find(browser, "#source")

    def drop(path):
        browser.find_element("css selector", "#source input[type=file]").send_keys(str(path))

    drop(tmp_path / "bad.mp4")
    said = find(browser, "#words", "This file cannot be shown")
    assert "bad.mp4: cannot be read as a video" in said and str(tmp_path) not in said and "/gradio" not in said

    browser.get(address)
    find(browser, "#source")
    drop(good)
    said = find(browser, "#words", "s of video in").strip()
    assert said.startswith("2.0 s of video in ") and ": 1x1 views for the best classes, 3 windows of 16 frames" in said
    # The best class is that of plain code, and there are both pictures.
    scores = window_scores(infer, good, (14,))[0]
    label = " ".join(find(browser, "#classes", CLASSES[scores.argmax()]).split())
    assert f"{CLASSES[scores.argmax()]} {100 * scores.max():.0f}%" in label and all(name in label for name in CLASSES)
    script = """
        const picture = document.querySelector('#timeline img'), video = document.querySelector('#heat video');
        return [picture && picture.naturalWidth, video && video.videoWidth, video && video.readyState];
    """
    end = time.monotonic() + 30
    while not ((sizes := browser.execute_script(script))[0] == 1200 and sizes[1] == 768 and sizes[2] >= 2):
        assert time.monotonic() < end, sizes
        time.sleep(0.2)
    browser.save_screenshot(os.environ.get("SLOWFAST_TF_SCREENSHOT") or str(tmp_path / "page.png"))

    # The page's policy blocked all requests to other machines.
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        e["params"]["requestId"]: e["params"]["request"]["url"]
        for e in events
        if e["method"] == "Network.requestWillBeSent" and e["params"]["request"]["url"].startswith("http")
    }
    held = {e["params"]["requestId"] for e in events if e["params"].get("blockedReason") == "csp"}
    away = {url for number, url in asked.items() if number not in held and not url.startswith(address)}
    assert address in asked.values() and not away, away


def test_a_limit_and_a_policy(address):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="big.mp4"\r\n\r\n'
        + bytes(2_000_000)
        + b"\r\n--x--\r\n"
    )
    request = urllib.request.Request(
        f"{address}gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=x"}
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    assert error.value.code == 413
    with urllib.request.urlopen(address) as answer:
        assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_mistakes(saved, address, monkeypatch):
    port = address.rstrip("/").rsplit(":")[-1]
    for arguments, message in (
        (("--model", "none.keras"), "none.keras: no such file"),
        (("--model", saved, "--limit", "0"), "--limit must be at least 1; received 0"),
        (("--model", saved, "--port", port), "cannot listen: Address already in use .*try another"),
        (("--model", saved, "--port", "70000"), "cannot listen: .* must be 0-65535"),
    ):
        with pytest.raises(InputError, match=message):
            demo.main([str(a) for a in arguments])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'slowfast_tf\[demo\]'"):
        demo.main(["--model", "none.keras"])
