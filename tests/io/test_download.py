"""A server on this machine that can break off, ignore ranges, or send something else."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from neurosim.errors import DownloadError, ParameterError
from neurosim.io import download

DATA = np.random.default_rng(1).bytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        server.paths.append(self.path)
        if self.path in server.gone:
            self.send_error(404)
            return
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        if server.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.data)}")
                self.end_headers()
                return
            self.send_response(206)
            last = len(server.data) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(server.data)}")
        else:
            self.send_response(200)
        body = server.data[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.breaks_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.data, server.ranges, server.status, server.breaks_after = DATA, True, 0, None
    server.requests, server.paths, server.gone = [], [], ("/gone.bin",)
    server.url = f"http://127.0.0.1:{server.server_address[1]}/brain.bin"
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched_once(server, tmp_path):
    seen = []
    path = tmp_path / "new" / "brain.bin"
    for _ in range(2):
        assert download(server.url, path, sha256=SHA256, progress=lambda *n: seen.append(n)) == path
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert server.requests == [None]
    assert list(path.parent.iterdir()) == [path]


def test_a_broken_download_is_resumed(server, tmp_path):
    server.breaks_after = 1_300_000
    path = download(server.url, tmp_path / "brain.bin", sha256=SHA256, pause=0.0)
    assert path.read_bytes() == DATA
    assert server.requests == [None, "bytes=1300000-", "bytes=2600000-"]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    (tmp_path / "brain.bin.part").write_bytes(b"other")
    server.ranges = False
    path = download(server.url, tmp_path / "brain.bin", sha256=SHA256)
    assert path.read_bytes() == DATA


def test_a_later_call_goes_on(server, tmp_path):
    server.breaks_after = 1_000_000
    path = tmp_path / "brain.bin"
    with pytest.raises(
        DownloadError, match=r"ended after 2,000,000 of 3,000,000 bytes.*2 attempts"
    ):
        download(server.url, path, sha256=SHA256, attempts=2, pause=0.0)
    assert not path.exists()
    server.breaks_after = None
    download(server.url, path, sha256=SHA256)
    assert server.requests[-1] == "bytes=2000000-"
    assert path.read_bytes() == DATA


def test_a_complete_part_needs_no_data(server, tmp_path):
    (tmp_path / "brain.bin.part").write_bytes(DATA)
    assert download(server.url, tmp_path / "brain.bin", sha256=SHA256).read_bytes() == DATA


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    (tmp_path / "brain.bin.part").write_bytes(DATA + b"more")
    path = download(server.url, tmp_path / "brain.bin", sha256=SHA256, pause=0.0)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("start", [b"", b"wrong start"])
def test_a_wrong_file_is_not_kept(server, tmp_path, start):
    if start:
        (tmp_path / "brain.bin.part").write_bytes(start)
    else:
        server.data = b"<html>sign in</html>"
    with pytest.raises(DownloadError, match=f"its SHA-256 is .*{SHA256} is expected"):
        download(server.url, tmp_path / "brain.bin", sha256=SHA256)
    assert not list(tmp_path.iterdir())


def test_a_wrong_file_that_is_there_stays(server, tmp_path):
    path = tmp_path / "brain.bin"
    path.write_text("my own")
    with pytest.raises(DownloadError, match="exists already"):
        download(server.url, path, sha256=SHA256)
    assert path.read_text() == "my own"
    assert not server.requests


def test_a_refusal_is_final(server, tmp_path):
    server.status = 404
    with pytest.raises(DownloadError, match="answers 404 Not Found"):
        download(server.url, tmp_path / "brain.bin", sha256=SHA256)
    assert len(server.requests) == 1


def test_a_server_in_trouble_is_asked_again(server, tmp_path):
    server.status = 503
    with pytest.raises(DownloadError, match=r"503.*save it as .*brain.bin"):
        download(server.url, tmp_path / "brain.bin", sha256=SHA256, attempts=3, pause=0.0)
    assert len(server.requests) == 3


def test_nobody_there(server, tmp_path):
    server.shutdown()
    server.socket.close()
    with pytest.raises(DownloadError, match="2 attempts, 0 bytes so far"):
        download(server.url, tmp_path / "brain.bin", sha256=SHA256, attempts=2, pause=0.0)


def test_places_are_tried_in_turn(server, tmp_path):
    here = server.url.removesuffix("brain.bin")
    places = [here + "gone.bin", here + "second.bin", here + "third.bin"]
    assert download(places, tmp_path / "brain.bin", md5=MD5).read_bytes() == DATA
    assert server.paths == ["/gone.bin", "/second.bin"]


def test_a_second_place_continues_what_the_first_began(server, tmp_path):
    server.breaks_after = 2_000_000
    places = [server.url, server.url + "?2"]
    path = download(places, tmp_path / "brain.bin", sha256=SHA256, attempts=1)
    assert path.read_bytes() == DATA
    assert server.requests == [None, "bytes=2000000-"]


def test_no_place_has_it(server, tmp_path):
    here = server.url.removesuffix("brain.bin")
    server.data = b"other"
    with pytest.raises(DownloadError) as caught:
        download([here + "gone.bin", server.url], tmp_path / "brain.bin", md5=MD5)
    message = str(caught.value)
    assert "brain.bin could not be fetched from any of 2 places:" in message
    assert f"- {here}gone.bin: the server answers 404" in message
    assert f"- {server.url} is not the file asked for: its MD5 is" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("file:///etc/passwd", {}, "https://"),
        ("https://x", {"sha256": "abc"}, "64 hexadecimal digits"),
        ("https://x", {"attempts": 0}, "attempts = 0"),
        ([], {}, "url is empty"),
        (["https://x", "ftp://x"], {}, "ftp://x"),
        ("https://x", {"sha256": None}, "sha256 or md5 is needed"),
        ("https://x", {"md5": "12"}, "32 hexadecimal digits"),
    ],
)
def test_bad_arguments(tmp_path, url, options, message):
    with pytest.raises(ParameterError, match=message):
        download(url, tmp_path / "f", **({"sha256": SHA256} | options))
