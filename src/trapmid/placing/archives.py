"""Archives from anywhere, unpacked with distrust: nothing leaves the folder, nothing grows."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tqdm import tqdm

from trapmid.data.listing import DataError, check_regular

LARGEST = 2**24
"""Bytes of one file: a picture of CelebA has 30 thousand at most, its largest list 26 million."""

LARGEST_LIST = 2**26
"""Bytes of one text."""

MOST = 1_000_000
"""Files of an archive; CelebA has 202,599."""

TOTAL = 2**35
"""Bytes of all wanted files together; CelebA's PNG variant has ten billion."""

_SPARE = 2**26  # bytes that stay free on the disk
_ZIP = b"PK"
_TEXTS = (".txt", ".csv")
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a way of packing that zipfile does not know
    RuntimeError,  # a password
)

Place = Callable[[str], str | None]
"""From a file's name in the archive to where it goes in the folder; None: it is not wanted."""


class _Member(NamedTuple):
    name: str
    size: int  # as the archive says
    kind: str  # file, folder, or what is not taken from anybody
    open: Callable[[], IO[bytes] | None]


def is_archive(file: Path) -> bool:
    """Whether the name says so; the content is not looked at."""
    return file.name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2"))


def unpack(archive: Path, folder: Path, place: Place) -> int:
    """Writes the wanted files of an archive; returns how many.

    All names, kinds and sizes of a zip archive are looked at before the first file is written,
    those of a tar archive one by one, for its list is spread over it.

    Raises:
        DataError: the archive is not whole; a name leads out of the folder, or comes twice; a file
            is a link, locked or too large; or the disk has no room.
    """
    check_regular(archive, "archive")
    try:
        with archive.open("rb") as stream:
            is_zip = stream.read(len(_ZIP)) == _ZIP
        return (_unzip if is_zip else _untar)(archive, folder, place)
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{archive}: is no whole archive ({reason}); was its download cut off?"
        ) from None
    except OSError as error:
        raise DataError(f"{archive}: cannot be unpacked ({error.strerror or error})") from None


def _unzip(archive: Path, folder: Path, place: Place) -> int:
    with zipfile.ZipFile(archive) as file:
        members = (_of_zip(file, info) for info in file.infolist())
        wanted = list(_wanted(archive, members, place))
        size, free = sum(member.size for member, _ in wanted), shutil.disk_usage(folder).free
        if size + _SPARE > free:
            raise DataError(f"{archive}: needs {size:,} bytes, the disk has {free:,} left")
        for member, to in tqdm(wanted, desc=archive.name, unit="file", mininterval=1):
            _write(member, folder / to)
    return len(wanted)


def _untar(archive: Path, folder: Path, place: Place) -> int:
    count = 0
    with tarfile.open(archive, "r:*") as file:
        members = (_of_tar(file, info) for info in file)
        wanted = _wanted(archive, members, place)
        for member, to in tqdm(wanted, desc=archive.name, unit="file", mininterval=1):
            _write(member, folder / to)
            count += 1
    return count


def _wanted(
    archive: Path, members: Iterable[_Member], place: Place
) -> Iterator[tuple[_Member, str]]:
    """The members to write, and where; every member is looked at."""
    taken: set[str] = set()
    total = 0
    for number, member in enumerate(members):
        _check(archive, member, number)
        to = place(member.name) if member.kind == "file" else None
        if to is None:
            continue
        if to in taken:
            raise DataError(f"{archive}: holds {to!a} twice")
        taken.add(to)
        total += member.size
        most = LARGEST_LIST if to.endswith(_TEXTS) else LARGEST
        if member.size > most or total > TOTAL:
            size, most = (member.size, most) if member.size > most else (total, TOTAL)
            raise DataError(
                f"{archive}: {member.name!a} makes {size:,} bytes, must be {most:,} at most"
            )
        yield member, to


def _of_zip(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    mode = info.external_attr >> 16
    kind = "folder" if info.is_dir() else "file"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "link" if stat.S_ISLNK(mode) else "device"
    elif info.flag_bits & 1:
        kind = "file with a password"
    return _Member(info.filename, info.file_size, kind, lambda: file.open(info))


def _of_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    kind = "file" if info.isreg() else "folder" if info.isdir() else "device"
    kind = "link" if info.islnk() or info.issym() else kind
    return _Member(info.name, info.size, kind, lambda: tar.extractfile(info))


def _check(archive: Path, member: _Member, number: int) -> None:
    name = PurePosixPath(member.name)
    shown = ascii(member.name)
    inside = not name.is_absolute() and ".." not in name.parts and member.name.isprintable()
    if not inside or "\\" in member.name or ":" in member.name:
        raise DataError(f"{archive}: the name {shown} leads out of the folder; nothing is unpacked")
    if member.kind not in ("file", "folder"):
        raise DataError(f"{archive}: {shown} is a {member.kind}, and only files are unpacked")
    if number >= MOST:
        raise DataError(f"{archive}: holds more than {MOST:,} files, which no data set has")


def _write(member: _Member, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    assert source is not None  # of a regular file
    with source, to.open("xb") as stream:
        shutil.copyfileobj(source, stream)
    if to.stat().st_size != member.size:
        raise EOFError(f"{member.name} ends too early")
