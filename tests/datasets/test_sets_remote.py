"""Fetching and unpacking against a server and archives made here."""

import gzip
import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from neurosim.datasets.sets.remote import Piece, locate, unpack
from neurosim.errors import DownloadError, FileFormatError

FILES = {"Train/0/a.bin": b"zero", "Train/1/b.bin": b"one", "readme.txt": b"read me"}


def make_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path, files=FILES, **attributes):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def server(tmp_path):
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "served")

        def log_message(self, *args):
            pass

    (tmp_path / "served").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def tree(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("make, name", [(make_zip, "a.zip"), (make_tar, "a.tar.gz")])
def test_a_folder_of_an_archive(tmp_path, make, name):
    unpack(make(tmp_path / name), tmp_path / "Train", member="Train")
    assert tree(tmp_path / "Train") == {"0/a.bin": b"zero", "1/b.bin": b"one"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Train", name]


def test_everything_of_an_archive_whose_names_begin_with_a_dot(tmp_path):
    files = {f"./{name}": data for name, data in FILES.items()}
    unpack(make_tar(tmp_path / "a.tar", files), tmp_path / "out")
    assert tree(tmp_path / "out") == FILES


def test_a_packed_file(tmp_path):
    (tmp_path / "x.h5.gz").write_bytes(gzip.compress(b"content"))
    assert unpack(tmp_path / "x.h5.gz", tmp_path / "x.h5").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil"])
@pytest.mark.parametrize("make, archive", [(make_zip, "a.zip"), (make_tar, "a.tar.gz")])
def test_nothing_is_written_outside(tmp_path, make, archive, name):
    files = {"good": b"1", name: b"2"}
    with pytest.raises(FileFormatError, match=r"leads out of the folder; nothing was unpacked"):
        unpack(make(tmp_path / archive, files), tmp_path / "out" / "here")
    assert tree(tmp_path).keys() == {archive}


def test_links_are_refused(tmp_path):
    link = make_tar(tmp_path / "a.tar", {"x": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd")
    with pytest.raises(FileFormatError, match="'x' is no plain file"):
        unpack(link, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(FileFormatError, match="'x' is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("make, name", [(make_zip, "a.zip"), (make_tar, "a.tar.gz")])
def test_damaged_archives_leave_nothing(tmp_path, make, name):
    files = {f"Train/{i}": bytes(range(256)) * 40 for i in range(50)}
    whole = make(tmp_path / name, files).read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-7], b"not an archive", b""):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"a\.(zip|tar\.gz) is damaged"):
            unpack(tmp_path / name, tmp_path / "Train", member="Train")
        assert tree(tmp_path).keys() == {name}


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    make_zip(tmp_path / "a.zip")

    def interrupted(source, out):
        out.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / "a.zip", tmp_path / "Train", member="Train")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_what_another_process_made_stays(tmp_path):
    (tmp_path / "Train").mkdir()
    (tmp_path / "Train" / "theirs").write_bytes(b"1")
    unpack(make_zip(tmp_path / "a.zip"), tmp_path / "Train", member="Train")
    assert tree(tmp_path / "Train") == {"theirs": b"1"}


def test_wrong_archives(tmp_path):
    make_zip(tmp_path / "a.zip")
    with pytest.raises(FileFormatError, match="does not contain 'Test'"):
        unpack(tmp_path / "a.zip", tmp_path / "Test", member="Test")
    with pytest.raises(FileFormatError, match=r"\.zip, \.tar, .* is expected"):
        unpack(tmp_path / "a.rar", tmp_path / "out")


def piece(server, path, **changes):
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    urls = (server + "gone.zip", server + path.name)
    default = {"names": ("Train", "train"), "file": path.name, "urls": urls, "member": "Train"}
    return Piece(**(default | {"md5": md5} | changes))


def test_missing_pieces_are_fetched_and_unpacked(server, tmp_path):
    wanted = piece(server, make_zip(tmp_path / "served" / "t.zip"))
    root = tmp_path / "new" / "folder"
    (found,) = locate("SET", root, [wanted], fetch=True, layout="Train/0")
    assert found == root / "Train"
    assert (found / "1" / "b.bin").read_bytes() == b"one"
    (tmp_path / "served" / "t.zip").unlink()  # needed no more
    assert locate("SET", root, [wanted], fetch=True, layout="Train/0") == [found]
    assert locate("SET", root, [wanted], fetch=False, layout="Train/0") == [found]


def test_an_archive_fetched_by_hand_is_unpacked(server, tmp_path):
    wanted = piece("http://127.0.0.1:9/", make_zip(tmp_path / "t.zip"))
    assert locate("SET", tmp_path, [wanted], fetch=True, layout="")[0].is_dir()


def test_other_names_are_accepted(server, tmp_path):
    (tmp_path / "train").mkdir()
    wanted = piece(server, make_zip(tmp_path / "served" / "t.zip"))
    assert locate("SET", tmp_path, [wanted], fetch=False, layout="") == [tmp_path / "train"]


def test_missing_files_say_what_to_do(server, tmp_path):
    wanted = piece(server, make_zip(tmp_path / "served" / "t.zip"))
    with pytest.raises(FileNotFoundError) as caught:
        locate("SET", tmp_path / "x", [wanted], fetch=False, layout="Train/0/*.bin")
    for part in ("SET: Train not found in", "Expected there: Train/0/*.bin", "download=True"):
        assert part in str(caught.value)
    assert f"fetch {server}gone.zip by hand, save it as {tmp_path / 'x' / 't.zip'}" in str(
        caught.value
    )


def test_a_changed_file_is_refused(server, tmp_path):
    wanted = piece(server, make_zip(tmp_path / "served" / "t.zip"), md5="0" * 32)
    with pytest.raises(DownloadError, match=r"(?s)any of 2 places.*404.*its MD5 is"):
        locate("SET", tmp_path / "x", [wanted], fetch=True, layout="")
    assert not tree(tmp_path / "x")
