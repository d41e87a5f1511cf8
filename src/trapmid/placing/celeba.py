"""CelebA, as people have it, in the layout that `data/celeba.py` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from trapmid.data import celeba, links, listing
from trapmid.data.celeba import FOLDERS, LIST
from trapmid.data.listing import DataError, Entry
from trapmid.placing import archives, folders

PLACE = Path("data/external/celeba")

TERMS = (
    "CelebA is for non-commercial research, and neither it nor a part of it may be passed on "
    "(https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html).",
    "A model that was trained on it, and what an attack gets out of it, can show these people: "
    "keep them as you keep the pictures.",
)
"""What to know before it is used; two sentences."""

# Of torchvision 0.26, `datasets.CelebA.file_list`.
_ARCHIVE = ("img_align_celeba.zip", "00d2c5bc6d35e252742224ab0c1e8fcb")
_LISTS = {
    "identity_CelebA.txt": "32bd1bd63d3c78cd57e08160ec5ed1e2",
    "list_attr_celeba.txt": "75e246fa4810816ffd6ee81facbd244c",
    "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
}
_PICTURES = (".jpg", ".png")
_TEXTS = (".txt", ".csv")
_PROBED = 3  # pictures that are decoded, to see their size; `prepare_data` decodes all
_ARCHIVES = (_ARCHIVE[0], "archive.zip")  # the authors' and Kaggle's


def place(source: Path, to: Path, *, copy: bool, identities: Path | None) -> list[str]:
    """Puts CelebA into the folder `to`; returns what to tell about it, a line each.

    A folder whose layout is read as it is becomes a link, any other a folder of links to its files.
    An archive is unpacked. Nothing is fetched from anywhere.

    Args:
        source: an archive, or a folder with pictures or an archive in it.
        to: must be free.
        copy: copies instead of links.
        identities: the list of people, where `source` has none; Kaggle's has none.

    Raises:
        DataError: something is missing, damaged or of another size; nothing is left in `to`.
    """
    folders.check_free(to)
    folders.check_there(source)
    folders.check_apart(source, to)
    if identities is not None:
        _check_list(identities)
    archive = _archive(source)
    if archive is None and not copy and identities is None and _is_whole(source):
        told = _look(source)
        folders.link(source, to)
        return [f"{to}: is a link to {source.resolve()}", *told, *TERMS]
    home = source if source.is_dir() else source.parent
    lists = _lists(home, identities)
    with folders.new(to, source) as folder:
        if archive is None:
            images = celeba.find_images(source)
            files = ((one, folder / images.name / one.name) for one in _pictures(images))
            folders.fill(files, copy=copy)
            told = []
        else:
            archives.unpack(archive, folder, _where)
            told = _known(archive, *_ARCHIVE)
        beside = {
            name: one
            for name, one in lists.items()
            if one == identities or not (folder / name).exists()  # what was named, comes first
        }
        folders.fill(((one, folder / name) for name, one in beside.items()), copy=True)
        try:
            told += _look(folder)
        except DataError as error:  # of a list that was named, by that name
            text = str(error).replace(str(folder / f"{LIST}.txt"), str(identities))
            raise DataError(str(error) if identities is None else text) from None
    how = "copies" if copy or archive else "links to files"
    return [f"{to}: holds {how} of {archive or source}", *told, *TERMS]


def _check_list(identities: Path) -> None:
    """Whether a list of people can be read, before anything is linked or unpacked for it."""
    try:
        listing.read_list(identities)
    except DataError as error:
        raise DataError(f"--identities: {error}") from None


def _archive(source: Path) -> Path | None:
    """The archive that is meant; None: a folder that holds the pictures themselves."""
    if not source.is_dir():
        if not archives.is_archive(source):
            raise DataError(
                f"{source}: is neither a folder nor a .zip or .tar archive; unpack it yourself"
            )
        return source
    places = [source, *(source / name for name in ("celeba", "Img", "celeba/Img"))]
    inside = {name for place in places if place.is_dir() for name in os.listdir(place)}
    found = [place / name for name in _ARCHIVES for place in places]
    return None if inside & {*FOLDERS} else next(filter(Path.is_file, found), None)


def _is_whole(folder: Path) -> bool:
    """Whether the folder can be linked as it is: it has a list, and DVC sees all of it."""
    try:
        links.check(folder)
    except DataError:
        return False
    return celeba.find_list(folder, LIST).is_file()


def _where(name: str) -> str | None:
    """Where a file of an archive goes: pictures by their names alone, lists beside them."""
    path = PurePosixPath(name)
    if path.name.startswith("."):  # macOS's notes
        return None
    folder = next((part for part in path.parts[:-1] if part in FOLDERS), None)
    if path.suffix.lower() in _PICTURES and folder is not None:
        return f"{folder}/{path.name}"
    return path.name if path.suffix.lower() in _TEXTS else None


def _pictures(folder: Path) -> list[Path]:
    return [one for one in listing.contents(folder) if one.suffix.lower() in _PICTURES]


def _lists(home: Path, identities: Path | None) -> dict[str, Path]:
    """The lists beside pictures or archives, by the names that they get; one may be named."""
    stems = [Path(name).stem for name in _LISTS if identities is None or Path(name).stem != LIST]
    found = {} if identities is None else {f"{LIST}.txt": identities}
    for stem in stems:
        there = (_list(one, stem) for one in (home, home.parent))  # Anno stands beside Img
        if (path := next(filter(None, there), None)) is not None:
            found[path.name] = path
    return found


def _list(home: Path, stem: str) -> Path | None:
    try:
        path = celeba.find_list(home, stem)
    except DataError:  # a folder above, which is closed
        return None
    return path if path.is_file() else None


# --- what is there ------------------------------------------------------------------------------


def _look(folder: Path) -> list[str]:
    """Counts, digests and sizes of what a reader will find.

    Raises:
        DataError: a picture that is listed is missing, empty or of another size.
    """
    path = celeba.find_list(folder, LIST)
    if not path.is_file():
        raise DataError(
            f"{folder}: no {LIST}.txt, which says who is in a picture; Kaggle's copy has none: ask "
            "CelebA's authors for it, and name it by --identities"
        )
    entries = celeba.Reader().entries(folder)
    _check_there(path, entries)
    reader = celeba.Reader()
    for entry in entries[:: max(1, len(entries) // _PROBED)]:
        reader.load(entry.file, celeba.CROP[2] - celeba.CROP[0])
    people = len({entry.identity for entry in entries})
    told = [f"{len(entries):,} pictures of {people:,} people, all of them there"]
    for name, digest in _LISTS.items():
        if (found := celeba.find_list(folder, Path(name).stem)).is_file():
            told += _known(found, name, digest)
    return told


def _check_there(path: Path, entries: Sequence[Entry]) -> None:
    """Refuses pictures that are missing or have no byte, without a look at each path by itself."""
    folders_of_them = {str(entry.file.parent) for entry in entries}
    sizes = {k: v for one in filter(os.path.isdir, folders_of_them) for k, v in _sizes(one).items()}
    _complain(path, "missing", [e for e in entries if str(e.file) not in sizes])
    _complain(path, "empty (0 bytes)", [e for e in entries if not sizes[str(e.file)]])


def _sizes(folder: str) -> dict[str, int]:
    """Bytes of the files in a folder, by path."""
    found = {}
    with os.scandir(folder) as inside:
        for one in inside:
            with suppress(OSError):  # links in a circle
                if one.is_file():
                    found[one.path] = one.stat().st_size
    return found


def _complain(path: Path, what: str, wrong: Sequence[Entry]) -> None:
    if wrong:
        first = f"{wrong[0].file.name} ({wrong[0].line})"
        raise DataError(f"{path}: lists pictures of which {len(wrong):,} are {what}, first {first}")


def _known(file: Path, name: str, digest: str) -> list[str]:
    """Whether a file is the authors' by its digest; nothing of a file of another name."""
    if file.name != name:
        return []
    is_same = folders.md5(file) == digest
    return [f"{name}: {'the file' if is_same else 'NOT the file'} that torchvision knows, by MD5"]
