"""`trapmid data`: what people have becomes a folder that is read, or one line and nothing."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from smooth import picture
from trapmid import cli
from trapmid.data import celeba as celeba_layout
from trapmid.data import lfw as lfw_layout
from trapmid.data import links
from trapmid.data.listing import DataError
from trapmid.placing import archives, celeba, folders, lfw

NAMES = [f"{number:06d}.jpg" for number in range(1, 7)]
LIST = "".join(f"{name} {1 + index // 3}\n" for index, name in enumerate(NAMES))


def jpeg(seed: int, size: tuple[int, int] = celeba_layout.SIZE) -> bytes:
    stream = io.BytesIO()
    picture(*size, seed).save(stream, "JPEG")
    return stream.getvalue()


PICTURES = {name: jpeg(seed) for seed, name in enumerate(NAMES)}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(file: Path, files: dict[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file


def aligned(folder: str = "img_align_celeba") -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in PICTURES.items()}


IDENTITIES = {"identity_CelebA.txt": LIST.encode()}
NESTED = aligned("img_align_celeba/img_align_celeba")


# --- what people have: each makes it below a folder, and returns what --from names ----------------


def plain(here: Path) -> Path:
    return write(here / "plain", aligned() | IDENTITIES)


def torchvisions(here: Path) -> Path:
    files = {f"celeba/{name}": content for name, content in (aligned() | IDENTITIES).items()}
    return write(here / "torchvision", files)


def authors_archive(here: Path) -> Path:
    write(here / "drive" / "Anno", IDENTITIES)
    return zipped(here / "drive" / "Img" / "img_align_celeba.zip", aligned())


def folder_of_the_archive(here: Path) -> Path:
    return authors_archive(here).parent


def archive_beside_its_list(here: Path) -> Path:
    write(here / "both", IDENTITIES)
    return zipped(here / "both" / "img_align_celeba.zip", aligned()).parent


def kaggles_archive_with_a_list(here: Path) -> Path:
    notes = {"__MACOSX/img_align_celeba/._000001.jpg": b"note", "list_attr_celeba.csv": b"a,b\n"}
    return zipped(here / "archive.zip", NESTED | IDENTITIES | notes)


def linked_inside(here: Path) -> Path:
    folder = plain(here)
    (folder / "img_align_celeba").rename(here / "elsewhere")
    (folder / "img_align_celeba").symlink_to(here / "elsewhere")
    return folder


def packed_as_tar(here: Path) -> Path:
    source = plain(here)
    with tarfile.open(here / "celeba.tar.gz", "w:gz") as tar:
        tar.add(source, arcname="celeba")
    return here / "celeba.tar.gz"


def with_blanks_and_umlauts(here: Path) -> Path:
    return write(here / "Gesichter für alle", aligned() | IDENTITIES)


HAVE = [
    plain,
    torchvisions,
    authors_archive,
    folder_of_the_archive,
    archive_beside_its_list,
    kaggles_archive_with_a_list,
    linked_inside,
    packed_as_tar,
    with_blanks_and_umlauts,
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a study is the working directory, and beside it what people have."""
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    return tmp_path


@pytest.mark.parametrize("words", [[], ["--copy"]], ids=["link", "copy"])
@pytest.mark.parametrize("have", HAVE, ids=lambda have: have.__name__)
def test_it_is_read_where_studies_read_it(
    here: Path, capsys: pytest.CaptureFixture[str], have: Callable[[Path], Path], words: list[str]
) -> None:
    source = have(here)
    assert cli.main(["data", "celeba", "--from", str(source), *words]) == 0
    place = Path("data/external/celeba")
    links.check(place)
    entries = celeba_layout.Reader().entries(place)
    assert [entry.identity for entry in entries] == [1, 1, 1, 2, 2, 2]
    assert [entry.file.read_bytes() for entry in entries] == list(PICTURES.values())
    assert [file for file in place.resolve().rglob("*") if file.name.startswith(".")] == []
    printed = capsys.readouterr().out
    assert "6 pictures of 2 people" in printed
    assert "identity_CelebA.txt: NOT the file" in printed
    assert all(sentence in printed for sentence in celeba.TERMS) and len(celeba.TERMS) == 2
    unpacked = words or source.is_file() or have is folder_of_the_archive
    unpacked = unpacked or have is archive_beside_its_list
    assert any(one.is_symlink() for one in (place, entries[0].file)) != bool(unpacked)
    assert [one.name for one in Path("data/external").iterdir()] == ["celeba"]


def test_a_folder_that_fits_is_one_link(here: Path) -> None:
    source = plain(here)
    celeba.place(source, Path("faces"), copy=False, identities=None)
    assert Path("faces").is_symlink() and Path("faces").resolve() == source


def test_a_list_from_elsewhere(here: Path) -> None:
    """Kaggle's archive has none."""
    named = write(here, {"who.txt": LIST.encode()}) / "who.txt"
    source = zipped(here / "archive.zip", NESTED)
    celeba.place(source, Path("faces"), copy=False, identities=named)
    assert len(celeba_layout.Reader().entries(Path("faces"))) == 6


def test_a_named_list_comes_before_the_archives(here: Path) -> None:
    named = write(here, {"who.txt": LIST.replace(".jpg 2", ".jpg 7").encode()}) / "who.txt"
    source = zipped(here / "archive.zip", aligned() | IDENTITIES)
    celeba.place(source, Path("faces"), copy=False, identities=named)
    found = celeba_layout.Reader().entries(Path("faces"))
    assert [entry.identity for entry in found] == [1, 1, 1, 7, 7, 7]


def test_the_digests_are_those_of_torchvision() -> None:
    from torchvision.datasets import CelebA

    known = {name: digest for _, digest, name in CelebA.file_list}
    assert {*celeba._LISTS.items(), celeba._ARCHIVE} <= {*known.items()}


def test_the_digests_of_lfw_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import _lfw

    files = _lfw.FUNNELED_ARCHIVE, _lfw.ARCHIVE
    assert {file.filename: file.checksum for file in files} == lfw._ARCHIVES


def test_a_file_with_the_known_digest_is_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.md5(LIST.encode(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(celeba._LISTS, "identity_CelebA.txt", digest)
    told = celeba.place(plain(here), Path("faces"), copy=False, identities=None)
    assert "identity_CelebA.txt: the file that torchvision knows, by MD5" in told


# --- LFW ------------------------------------------------------------------------------------------

PEOPLE = {
    f"lfw_funneled/{name}/{name}_{number:04d}.jpg": jpeg(number, lfw_layout.SIZE)
    for name, count in (("Al_Gore", 2), ("Jane_Doe", 1))
    for number in range(1, count + 1)
}


def lfw_home(here: Path) -> Path:
    write(here / "data_home" / "lfw_home", PEOPLE | {"pairs.txt": b"10\t300\n"})
    return here / "data_home" / "lfw_home"


def lfw_tar(here: Path) -> Path:
    others = {"lfw_funneled/pairs_01.txt": b"1", "lfw_funneled/Al_Gore/._Al_Gore_0001.jpg": b"note"}
    source = write(here / "unpacked", PEOPLE | others)
    with tarfile.open(here / "lfw-funneled.tgz", "w:gz") as tar:
        tar.add(source / "lfw_funneled", arcname="lfw_funneled")
    return here / "lfw-funneled.tgz"


@pytest.mark.parametrize("words", [[], ["--copy"]], ids=["link", "copy"])
@pytest.mark.parametrize("have", [lfw_home, lfw_tar], ids=lambda have: have.__name__)
def test_lfw_is_read_where_studies_read_it(
    here: Path, capsys: pytest.CaptureFixture[str], have: Callable[[Path], Path], words: list[str]
) -> None:
    assert cli.main(["data", "lfw", "--from", str(have(here)), *words]) == 0
    entries = lfw_layout.Reader().entries(Path("data/external/lfw"))
    there = {str(entry.file.resolve().relative_to(here.resolve())) for entry in entries}
    assert all(any(one.endswith(name) for one in there) for name in PEOPLE)
    assert len(entries) == len(PEOPLE)
    if words or have is lfw_tar:
        copied = [one for one in Path("data/external/lfw").rglob("*") if one.is_file()]
        assert len(copied) == len(PEOPLE)
    printed = capsys.readouterr().out
    assert "3 pictures of 2 people; all of LFW has 13,233 and 5,749" in printed
    assert all(sentence in printed for sentence in lfw.TERMS)


def test_what_scikit_learn_keeps_beside_lfw_is_no_part_of_it(here: Path) -> None:
    """Its cache has other bytes on every machine; DVC would take it for other data."""
    home = lfw_home(here)
    write(home, {"joblib/sklearn/cached.pkl": b"\x80"})
    for source in (home, home.parent, home / "lfw_funneled"):
        assert cli.main(["data", "lfw", "--from", str(source)]) == 0
        place = Path("data/external/lfw")
        assert place.resolve() == (home / "lfw_funneled").resolve()
        place.unlink()


def test_a_copy_says_how_the_faces_were_aligned(here: Path) -> None:
    home = lfw_home(here)
    (home / "lfw_funneled").rename(home / "lfw-deepfunneled")
    with tarfile.open(here / "some.tgz", "w:gz") as tar:
        tar.add(home / "lfw-deepfunneled", arcname="lfw-deepfunneled")
    for words in (["--from", str(home), "--copy"], ["--from", str(here / "some.tgz")]):
        assert cli.main(["data", "lfw", *words]) == 0
        assert [one.name for one in Path("data/external/lfw").iterdir()] == ["lfw-deepfunneled"]
        shutil.rmtree("data/external/lfw")


def test_lfw_is_looked_for_where_scikit_learn_keeps_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(here / "data_home"))
    assert cli.main(["data", "lfw"]) == 1
    error = capsys.readouterr().err
    assert "lfw_home: no such folder; `python -c 'from sklearn" in error
    lfw_home(here)
    assert cli.main(["data", "lfw"]) == 0


# --- what is refused ------------------------------------------------------------------------------


def nothing(here: Path) -> Path:
    return here / "nothing"


def circle(here: Path) -> Path:
    (here / "circle").symlink_to(here / "circle")
    return here / "circle"


def empty_folder(here: Path) -> Path:
    return write(here / "empty", {"readme.md": b""})


def no_list(here: Path) -> Path:
    return write(here / "without", aligned())


def kaggles_archive(here: Path) -> Path:
    return zipped(here / "archive.zip", NESTED)


def missing_pictures(here: Path) -> Path:
    folder = plain(here)
    for name in NAMES[2:4]:
        (folder / "img_align_celeba" / name).unlink()
    return folder


def empty_picture(here: Path) -> Path:
    return write(plain(here), {f"img_align_celeba/{NAMES[4]}": b""})


def other_size(here: Path) -> Path:
    return write(plain(here), {f"img_align_celeba/{NAMES[0]}": jpeg(0, (64, 64))})


def line_twice(here: Path) -> Path:
    return write(plain(here), {"identity_CelebA.txt": (LIST + LIST[:13]).encode()})


def list_of_other_bytes(here: Path) -> Path:
    return write(plain(here), {"identity_CelebA.txt": "ü".encode("latin-1")})


def half_a_zip(here: Path) -> Path:
    file = authors_archive(here)
    file.write_bytes(file.read_bytes()[:20_000])
    return file


def changed_zip(here: Path) -> Path:
    file = authors_archive(here)
    content = bytearray(file.read_bytes())
    content[3000] ^= 255
    file.write_bytes(content)
    return file


def no_bytes(here: Path) -> Path:
    return write(here, {"img_align_celeba.zip": b""}) / "img_align_celeba.zip"


def web_page(here: Path) -> Path:
    """What a browser saves where a download asks for a name first."""
    return write(here, {"celeba.zip": b"<!DOCTYPE html><p>Sign in"}) / "celeba.zip"


def seven_zip(here: Path) -> Path:
    return write(here, {"img_align_celeba_png.7z": b"7z"}) / "img_align_celeba_png.7z"


def slip(here: Path) -> Path:
    return zipped(here / "slip.zip", aligned() | IDENTITIES | {"../../marker": b"out"})


def absolute_slip(here: Path) -> Path:
    return zipped(here / "slip.zip", aligned() | IDENTITIES | {"/tmp/marker.txt": b"out"})


def windows_slip(here: Path) -> Path:
    file = zipped(here / "slip.zip", aligned() | IDENTITIES | {"..x..xmarker.txt": b"out"})
    file.write_bytes(file.read_bytes().replace(b"..x..xmarker", b"..\\..\\marker"))
    return file


def link_in_a_zip(here: Path) -> Path:
    file = zipped(here / "link.zip", aligned() | IDENTITIES)
    with zipfile.ZipFile(file, "a") as archive:
        info = zipfile.ZipInfo("img_align_celeba/evil.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return file


def link_in_a_tar(here: Path) -> Path:
    file = packed_as_tar(here)
    with tarfile.open(file, "w") as tar:
        info = tarfile.TarInfo("celeba/img_align_celeba/evil.jpg")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    return file


def half_a_tar(here: Path) -> Path:
    file = packed_as_tar(here)
    file.write_bytes(file.read_bytes()[:20_000])
    return file


def bomb(here: Path) -> Path:
    """Thirty megabytes of zeros in thirty kilobytes."""
    zeros = {"img_align_celeba/000007.jpg": bytes(30_000_000)}
    return zipped(here / "bomb.zip", aligned() | IDENTITIES | zeros)


def lying_zip(here: Path) -> Path:
    """The list of the archive says ten bytes of a picture that has thousands."""
    file = zipped(here / "lying.zip", aligned() | IDENTITIES)
    content = bytearray(file.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (10).to_bytes(4, "little")
    file.write_bytes(content)
    return file


def twice(here: Path) -> Path:
    file = zipped(here / "twice.zip", aligned() | IDENTITIES)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("copy/img_align_celeba/000001.jpg", b"other")
    return file


def with_a_password(here: Path) -> Path:
    file = zipped(here / "locked.zip", aligned() | IDENTITIES)
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    return file


def pipe(here: Path) -> Path:
    os.mkfifo(here / "celeba.zip")
    return here / "celeba.zip"


def picture_in_a_circle(here: Path) -> Path:
    source = write(here / "torchvision", {"more/readme.md": b""} | aligned() | IDENTITIES)
    picture = source / "img_align_celeba/000003.jpg"
    picture.unlink()
    picture.symlink_to(picture)
    (source / "linked").symlink_to(source / "more")  # so its files become links one by one
    return source


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (nothing, "nothing: no such file or folder"),
    (circle, "circle: no such file or folder"),
    (empty_folder, "empty: no folder img_align_celeba or img_align_celeba_png"),
    (no_list, "without: no identity_CelebA.txt, which says who is in a picture"),
    (kaggles_archive, "no identity_CelebA.txt, which says who is in a picture; Kaggle's copy"),
    (missing_pictures, "2 are missing, first 000003.jpg (identity_CelebA.txt:3)"),
    (empty_picture, "1 are empty (0 bytes), first 000005.jpg (identity_CelebA.txt:5)"),
    (other_size, "000001.jpg: is 64x64, must be 178x218"),
    (line_twice, "identity_CelebA.txt:7: 000001.jpg is on line 1 already"),
    (list_of_other_bytes, "identity_CelebA.txt: not a text file in UTF-8"),
    (half_a_zip, "is no whole archive (File is not a zip file); was its download cut off?"),
    (changed_zip, "img_align_celeba.zip: is no whole archive ("),
    (no_bytes, "img_align_celeba.zip: is no whole archive ("),
    (web_page, "celeba.zip: is no whole archive ("),
    (seven_zip, "is neither a folder nor a .zip or .tar archive; unpack it yourself"),
    (slip, "the name '../../marker' leads out of the folder; nothing is unpacked"),
    (absolute_slip, "the name '/tmp/marker.txt' leads out of the folder"),
    (windows_slip, r"the name '..\\..\\marker.txt' leads out of the folder"),
    (link_in_a_zip, "'img_align_celeba/evil.jpg' is a link, and only files are unpacked"),
    (link_in_a_tar, "'celeba/img_align_celeba/evil.jpg' is a link, and only files are unpacked"),
    (half_a_tar, "celeba.tar.gz: is no whole archive ("),
    (bomb, "'img_align_celeba/000007.jpg' makes 30,000,000 bytes, must be 16,777,216 at most"),
    (lying_zip, "lying.zip: is no whole archive ("),
    (twice, "twice.zip: holds 'img_align_celeba/000001.jpg' twice"),
    (with_a_password, "is a file with a password, and only files are unpacked"),
    (pipe, "celeba.zip: is no regular file, and only such are read"),
    (picture_in_a_circle, "1 are missing, first 000003.jpg (identity_CelebA.txt:3)"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=lambda v: getattr(v, "__name__", ""))
def test_what_cannot_be_taken_is_one_line_and_leaves_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], Path], words: str
) -> None:
    source = make(here)
    before = sorted(here.rglob("*"))
    assert cli.main(["data", "celeba", "--from", str(source)]) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(error) == 1 and error[0].startswith("trapmid data: error: ") and words in error[0]
    assert ".partial" not in error[0]
    left = [one for one in sorted(here.rglob("*")) if one not in before]
    assert [one for one in left if one.name not in ("data", "external")] == []
    assert not Path("/tmp/marker.txt").exists()


def test_too_many_bytes_together(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(archives, "TOTAL", 10_000)
    assert cli.main(["data", "celeba", "--from", str(authors_archive(here))]) == 1
    assert "bytes, must be 10,000 at most" in capsys.readouterr().err


def test_too_many_files(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = authors_archive(here)  # of six
    monkeypatch.setattr(archives, "MOST", 5)
    assert cli.main(["data", "celeba", "--from", str(source)]) == 1
    assert "holds more than 5 files, which no data set has" in capsys.readouterr().err
    monkeypatch.setattr(archives, "MOST", 6)
    assert cli.main(["data", "celeba", "--from", str(source)]) == 0


def test_a_list_has_a_bound_of_its_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = zipped(here / "archive.zip", aligned() | {"identity_CelebA.csv": LIST.encode()})
    monkeypatch.setattr(archives, "LARGEST_LIST", len(LIST) - 1)
    with pytest.raises(DataError, match=rf"'identity_CelebA\.csv' makes {len(LIST)} bytes"):
        celeba.place(source, Path("faces"), copy=False, identities=None)
    monkeypatch.setattr(archives, "LARGEST", max(map(len, PICTURES.values())))
    monkeypatch.setattr(archives, "LARGEST_LIST", len(LIST))
    celeba.place(source, Path("faces"), copy=False, identities=None)


def test_a_disk_without_room_is_known_before(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = archives.shutil.disk_usage("/")._replace(free=archives._SPARE)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage)
    assert cli.main(["data", "celeba", "--from", str(authors_archive(here))]) == 1
    assert f"the disk has {archives._SPARE:,} left" in capsys.readouterr().err


def test_a_place_that_is_taken_stays_as_it_is(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path("data/external/celeba"), {"mine.txt": b"mine"})
    assert cli.main(["data", "celeba", "--from", str(plain(here))]) == 1
    assert "data/external/celeba: is there already; remove it, or" in capsys.readouterr().err
    assert [one.name for one in Path("data/external/celeba").iterdir()] == ["mine.txt"]


def test_celeba_is_never_fetched(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "celeba"]) == 1
    assert "--from is missing: CelebA comes from its authors" in capsys.readouterr().err


BAD_LISTS: list[tuple[bytes | None, str]] = [
    (None, "who.txt: no such file; it lists '<file name> <identity>'"),
    (b"", "who.txt: lists no image"),
    (b"ann\n000001.jpg bob\n", "who.txt:1: must be '<file name> <identity>', is 'ann'"),
    ("000001.jpg ü".encode("latin-1"), "who.txt: not a text file in UTF-8"),
]


@pytest.mark.parametrize(("content", "words"), BAD_LISTS, ids=lambda v: None)
@pytest.mark.parametrize("have", [no_list, kaggles_archive], ids=lambda have: have.__name__)
def test_a_bad_list_is_told_before_anything_is_placed(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    have: Callable[[Path], Path],
    content: bytes | None,
    words: str,
) -> None:
    source, named = have(here), here / "who.txt"
    if content is not None:
        named.write_bytes(content)
    monkeypatch.setattr(folders, "new", None)
    assert cli.main(["data", "celeba", "--from", str(source), "--identities", str(named)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"trapmid data: error: --identities: {here}/") and words in error
    assert error.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_a_folder_is_no_list(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--from", str(no_list(here)), "--identities", str(here)]
    assert cli.main(["data", "celeba", *words]) == 1
    error = capsys.readouterr().err
    assert error == f"trapmid data: error: --identities: {here}: is no regular file, and only " + (
        "such are read\n"
    )


def test_a_list_of_other_pictures_is_told_by_its_own_name(here: Path) -> None:
    named = write(here, {"who.txt": LIST.encode() + b"000009.jpg 3\n"}) / "who.txt"
    line = r"study/\.\./who\.txt: lists pictures of which 1 are missing, first 000009\.jpg"
    with pytest.raises(DataError, match=line):
        celeba.place(no_list(here), Path("faces"), copy=False, identities=Path.cwd() / "../who.txt")
    assert named.is_file() and list(Path().iterdir()) == []


def test_lfw_has_no_list(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(lfw_home(here))
    assert cli.main(["data", "lfw", "--from", source, "--identities", "who.txt"]) == 1
    assert "--identities: of celeba alone; LFW's people are its fo" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("words", [[], ["--copy"]], ids=["link", "copy"])
@pytest.mark.parametrize("source", ["data/external", ".", "data/external/celeba", "linked"])
def test_a_place_inside_of_its_source_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], source: str, words: list[str]
) -> None:
    """A link to its own parent is a circle, and would be called a success."""
    write(Path("data/external"), aligned() | IDENTITIES)
    Path("linked").symlink_to("data")
    Path("data/external/celeba").mkdir()
    before = sorted(here.rglob("*"))
    assert cli.main(["data", "celeba", "--from", source, *words]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"data/external/celeba: lies inside of {source}, where it comes from; name" in error
    assert sorted(here.rglob("*")) == before


def test_a_place_behind_a_link_in_a_circle_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--from", str(plain(here)), "--to", str(circle(here) / "celeba")]
    assert cli.main(["data", "celeba", *words]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "circle/celeba: cannot be made (" in error


def test_lfw_inside_of_its_source_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path("data/external"), PEOPLE)
    assert cli.main(["data", "lfw", "--from", "data/external"]) == 1
    assert "data/external/lfw: lies inside of data/external, where" in capsys.readouterr().err


def test_what_a_killed_run_left_is_swept_away(here: Path) -> None:
    write(Path("data/external/.celeba.partial"), {"img_align_celeba/old.jpg": b"old"})
    celeba.place(authors_archive(here), Path("data/external/celeba"), copy=False, identities=None)
    assert [one.name for one in Path("data/external").iterdir()] == ["celeba"]
    assert not Path("data/external/celeba/img_align_celeba/old.jpg").exists()
