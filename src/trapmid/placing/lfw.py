"""LFW, as scikit-learn fetched it or as its authors' archive, where `data/lfw.py` reads it."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from trapmid.data import lfw, links
from trapmid.data.listing import DataError
from trapmid.placing import archives, folders

PLACE = Path("data/external/lfw")

TERMS = (
    "LFW has press photographs of public figures, which its authors offer for research on face "
    "recognition (http://vis-www.cs.umass.edu/lfw).",
    "They say themselves that no result on it shows that an algorithm is fit for commercial use, "
    "and who is in it never agreed: pass on neither the pictures nor what an attack makes of them.",
)
"""What to know before it is used; two sentences."""

_ARCHIVES = {  # of scikit-learn 1.7, `datasets/_lfw.py`
    "lfw-funneled.tgz": "b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a",
    "lfw.tgz": "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
}
_COUNTS = (13_233, 5_749)
_FETCH = "python -c 'from sklearn.datasets import fetch_lfw_people as fetch; fetch()'"
_PROBED = 3


def default_source() -> Path:
    """Where scikit-learn keeps it."""
    home = os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")
    return Path(home).expanduser() / lfw.HOME


def place(source: Path | None, to: Path, *, copy: bool) -> list[str]:
    """Puts LFW into the folder `to`; returns what to tell about it, a line each.

    Args:
        source: an archive or a folder; None: `default_source`.
        to: must be free.
        copy: copies instead of a link.

    Raises:
        DataError: something is missing, damaged or of another size; nothing is left in `to`.
    """
    folders.check_free(to)
    if source is None and not default_source().is_dir():
        raise DataError(
            f"{default_source()}: no such folder; `{_FETCH}` fetches LFW (200 MB) into it, or name "
            "a place by --from"
        )
    source = source or default_source()
    folders.check_there(source)
    folders.check_apart(source, to)
    if source.is_dir() and not copy:
        # The people alone: beside them scikit-learn keeps what it made of them, other bytes on
        # every machine, which DVC would take for another data set.
        people = lfw.folder(source)
        links.check(people)
        told = _look(people)
        folders.link(people, to)
        return [f"{to}: is a link to {people.resolve()}", *told, *TERMS]
    with folders.new(to, source) as folder:
        if source.is_dir():
            files = [entry.file for entry in lfw.Reader().entries(source)]
            aligned = _alignment(lfw.folder(source).name)
            places = (folder / aligned / one.parent.name / one.name for one in files)
            folders.fill(zip(files, places, strict=True), copy=True)
            told = []
        else:
            archives.unpack(source, folder, _where)
            told = _known(source)
        told += _look(folder)
    return [f"{to}: holds copies of {source}", *told, *TERMS]


def _where(name: str) -> str | None:
    """Where a file of an archive goes: NAME/NAME_0001.jpg in a folder of the archive's own name."""
    path = PurePosixPath(name)
    if path.suffix != ".jpg" or len(path.parts) < 3 or path.name.startswith("."):
        return None
    return f"{_alignment(path.parts[-3])}/{path.parent.name}/{path.name}"


def _alignment(folder: str) -> str:
    """The name under which the people are kept: it says how the faces were aligned, if at all."""
    return folder if folder in lfw.FOLDERS else lfw.FOLDERS[0]


def _look(folder: Path) -> list[str]:
    """Counts, and the sizes of some pictures.

    Raises:
        DataError: a picture cannot be read.
    """
    reader = lfw.Reader()
    entries = reader.entries(folder)
    for entry in entries[:: max(1, len(entries) // _PROBED)]:
        reader.load(entry.file, lfw.CROP[2] - lfw.CROP[0])
    counts = len(entries), len({entry.identity for entry in entries})
    whole = "all of LFW" if counts == _COUNTS else "all of LFW has {:,} and {:,}".format(*_COUNTS)
    return [f"{counts[0]:,} pictures of {counts[1]:,} people; {whole}"]


def _known(archive: Path) -> list[str]:
    digest = _ARCHIVES.get(archive.name)
    if digest is None:
        return []
    is_same = folders.sha256(archive) == digest
    return [f"{archive.name}: {'the' if is_same else 'NOT the'} file of scikit-learn, by SHA-256"]
