"""`prepare_data` on raw folders as they go wrong: one line, exit code 1, nothing half-written.

What single functions say of a picture or a list is tested beside them; here the stage says it.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from data_rows import TINY
from PIL import Image

from smooth import picture

ROOT = Path(__file__).resolve().parents[2]
LISTED = "identity_CelebA.txt"
ROW = TINY | {side: {"reader": "celeba", "path": "raw"} for side in ("private", "public")}


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stage `code` writes: without it every stage takes all code apart, half a second."""
    root = tmp_path_factory.mktemp("code")
    with_code(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "argv", ["stages/digest_code.py"])
        runpy.run_path(str(ROOT / "stages/digest_code.py"), run_name="__main__")
    return root / "digests"


def with_code(root: Path) -> None:
    (root / "src").symlink_to(ROOT / "src")
    (root / "stages").symlink_to(ROOT / "stages")


@pytest.fixture
def project(tmp_path: Path, celeba: Path, digests: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one data row and good pictures: people 4, 5 and 7, and others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.syspath_prepend(ROOT / "stages")
    with_code(tmp_path)
    (tmp_path / "digests").symlink_to(digests)
    celeba.rename(tmp_path / "raw")
    change(tmp_path)
    return tmp_path


def change(project: Path, **row: object) -> None:
    text = json.dumps({"data": {"toy": ROW | row}})  # which is YAML, too
    (project / "params.yaml").write_text(text, encoding="utf-8")


def prepare() -> str | None:
    """Runs the stage in this process; its error, None if it had none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stages/prepare_data.py", "toy"])
        for module in ("_stage", "_unchanged"):  # they learn at their import who runs
            patch.delitem(sys.modules, module, raising=False)
        try:
            runpy.run_path(str(ROOT / "stages/prepare_data.py"), run_name="__main__")
        except SystemExit as end:
            return str(end.code)
    return None


def image(project: Path, number: int = 4) -> Path:
    """By default the first picture of person 4, who is private."""
    return project / "raw" / "img_align_celeba" / f"{number:06d}.jpg"


def append(project: Path, line: str) -> None:
    with (project / "raw" / LISTED).open("a", encoding="utf-8") as stream:
        stream.write(line)


# --- what goes wrong ------------------------------------------------------------------------------


def truncated(project: Path) -> None:
    image(project).write_bytes(image(project).read_bytes()[:1500])


def empty(project: Path) -> None:
    image(project).write_bytes(b"")


def cmyk(project: Path) -> None:
    picture(178, 218, 0).convert("CMYK").save(image(project))


def other_size(project: Path) -> None:
    picture(178, 200, 0).save(image(project))


def bomb(project: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(image(project), "PNG")


def transparent(project: Path) -> None:
    Image.new("RGBA", (178, 218), (1, 2, 3, 4)).save(image(project), "PNG")


def text_as_picture(project: Path) -> None:
    image(project).write_text("<!DOCTYPE html>")


def no_picture(project: Path) -> None:
    image(project).unlink()


def pipe_as_picture(project: Path) -> None:
    image(project).unlink()
    os.mkfifo(image(project))


def circle_as_picture(project: Path) -> None:
    image(project).unlink()
    image(project).symlink_to(image(project))


def folder_as_picture(project: Path) -> None:
    image(project).unlink()
    image(project).mkdir()


def no_folder(project: Path) -> None:
    (project / "raw").rename(project / "elsewhere")


def circle_as_folder(project: Path) -> None:
    no_folder(project)
    (project / "raw").symlink_to("raw")


def file_as_folder(project: Path) -> None:
    no_folder(project)
    (project / "raw").touch()


def no_pictures_folder(project: Path) -> None:
    (project / "raw/img_align_celeba").rename(project / "raw/img")


def link_inside(project: Path) -> None:
    (project / "raw/img_align_celeba").rename(project / "elsewhere")
    (project / "raw/img_align_celeba").symlink_to(project / "elsewhere")


def no_list(project: Path) -> None:
    (project / "raw" / LISTED).unlink()


def empty_list(project: Path) -> None:
    (project / "raw" / LISTED).write_bytes(b"")


def other_encoding(project: Path) -> None:
    (project / "raw" / LISTED).write_bytes("000001.jpg 2".encode("utf-16"))


def line_twice(project: Path) -> None:
    append(project, "000004.jpg 4\n")


def two_words_too_few(project: Path) -> None:
    append(project, "000031.jpg\n")


def no_number(project: Path) -> None:
    append(project, "000031.jpg Ada\n")


def name_that_leads_out(project: Path) -> None:
    append(project, "../../passwd.jpg 4\n")


def listed_but_not_there(project: Path) -> None:
    append(project, "000031.jpg 4\n")


def too_few_people(project: Path) -> None:
    change(project, identities=5)


def nobody_is_public(project: Path) -> None:
    change(project, public_above=9)


def public_file_is_private(project: Path) -> None:
    """Another folder, another number, but a link to the private file."""
    folder = project / "others" / "img_align_celeba"
    folder.mkdir(parents=True)
    (folder / "000001.jpg").symlink_to(image(project))
    picture(178, 218, 99).save(folder / "000002.jpg")
    (project / "others" / LISTED).write_text("000001.jpg 98\n000002.jpg 99\n", encoding="utf-8")
    change(project, public={"reader": "celeba", "path": "others"})


def thumbnail_in_a_wrong_folder(project: Path) -> None:
    target = project / "thumbnails" / "00000" / "01000.png"
    target.parent.mkdir(parents=True)
    picture(128, 128, 0).save(target)
    change(project, public={"reader": "ffhq", "path": "thumbnails"})


def unknown_reader(project: Path) -> None:
    change(project, private={"reader": "facebook", "path": "raw"})


BAD: list[tuple[Callable[[Path], None], str]] = [
    (truncated, "raw/img_align_celeba/000004.jpg: corrupt image ("),
    (empty, "000004.jpg: corrupt image (no known picture format) (identity_CelebA.txt:4)"),
    (cmyk, "000004.jpg: has pixels of the kind CMYK, must be RGB, a palette or grey"),
    (other_size, "000004.jpg: is 178x200, must be 178x218"),
    (bomb, "000004.jpg: is too large, must be 178x218"),
    (transparent, "000004.jpg: is transparent in part, must be opaque"),
    (text_as_picture, "000004.jpg: corrupt image (no known picture format)"),
    (no_picture, "000004.jpg: no such image (identity_CelebA.txt:4)"),
    (pipe_as_picture, "000004.jpg: is no regular file"),
    (circle_as_picture, "000004.jpg"),
    (folder_as_picture, "000004.jpg: is no regular file"),
    (no_folder, "raw: cannot be read as a folder (No such file or directory)"),
    (circle_as_folder, "raw: cannot be read as a folder (Too many levels of symbolic links)"),
    (file_as_folder, "raw: cannot be read as a folder (Not a directory)"),
    (no_pictures_folder, "raw: no folder img_align_celeba or img_align_celeba_png"),
    (link_inside, "raw/img_align_celeba: is a link to a folder, behind which DVC sees"),
    (no_list, f"raw/{LISTED}: no such file; it lists '<file name> <identity>'"),
    (empty_list, f"raw/{LISTED}: lists no image"),
    (other_encoding, f"raw/{LISTED}: not a text file in UTF-8"),
    (line_twice, f"raw/{LISTED}:30: 000004.jpg is on line 4 already"),
    (two_words_too_few, f"raw/{LISTED}:30: must be '<file name> <identity>'"),
    (no_number, f"raw/{LISTED}:30: must be '<file name> <identity>'"),
    (name_that_leads_out, f"raw/{LISTED}:30: a name must lead to a file inside"),
    (listed_but_not_there, "000031.jpg: no such image (identity_CelebA.txt:30)"),
    (too_few_people, "raw: 4 of 6 identities have at least 5 images (min_images), 5 are wanted"),
    (nobody_is_public, "images may be public"),
    (public_file_is_private, "the same file is private (identity_CelebA.txt:4) and public"),
    (thumbnail_in_a_wrong_folder, "01000.png: must be in the folder of its thousand"),
    (unknown_reader, "facebook"),
]


@pytest.mark.parametrize(("spoil", "words"), BAD, ids=lambda v: getattr(v, "__name__", ""))
def test_it_is_one_line_and_nothing_is_written(
    project: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(project)
    message = prepare()
    assert message is not None and message.startswith("prepare_data: error: ")
    assert words in message and "\n" not in message
    assert not (project / "data").exists() and not (project / "reports").exists()


def as_it_is(project: Path) -> None:
    pass


def blanks_and_umlauts(project: Path) -> None:
    (project / "raw").rename(project / "Gesichter für alle")
    side = {"reader": "celeba", "path": "Gesichter für alle"}
    change(project, private=side, public=side)


def grey(project: Path) -> None:
    picture(178, 218, 0).convert("L").save(image(project))


def what_systems_leave(project: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "._000004.jpg"):
        (project / "raw/img_align_celeba" / name).write_bytes(b"left")


def public_picture_twice(project: Path) -> None:
    image(project, 2).write_bytes(image(project, 1).read_bytes())


@pytest.mark.parametrize(
    "alter",
    [as_it_is, blanks_and_umlauts, grey, what_systems_leave, public_picture_twice],
    ids=lambda alter: alter.__name__,
)
def test_what_only_looks_wrong_is_prepared(project: Path, alter: Callable[[Path], None]) -> None:
    alter(project)
    assert prepare() is None
    made = project / "data/prepared/toy"
    names = {one.name for one in made.iterdir()}
    assert names >= {"private.pt", "public.pt", "manifest.csv"}
    assert not [name for name in names if name.endswith(".tmp")]
    assert not [one for one in (project / ".scratch").iterdir() if (one / "private").exists()]
