"""The tables of the data contract: they hold what the manifest and the tensors say."""

from __future__ import annotations

import pandas as pd
import pytest

from trapmid.data.listing import DataError
from trapmid.data.prepare import Prepared
from trapmid.data.tables import identities, pixels, read_manifest, sides


def test_a_manifest_that_is_no_table() -> None:
    with pytest.raises(DataError, match=r"manifest\.csv: "):
        read_manifest(b"")


def test_text_instead_of_a_number_goes_missing() -> None:
    table = read_manifest(b"path,label,size\na,x,16\nb,,NA\nc,2,16\n")
    assert table["label"].isna().tolist() == [True, True, False]
    assert table["size"].isna().tolist() == [False, True, False]


def test_people_are_counted_by_side_split_and_label() -> None:
    text = b"path,identity,label,split\na,x,0,train\nb,x,1,test\nc,y,2,val\nd,x,,public\n"
    table = read_manifest(text)
    assert sides(table).set_index("path")["sides"].to_dict() == {"x": 2, "y": 1}
    people = identities(table[table["split"] != "public"]).set_index("path")
    columns = ["label", "labels", "images", "train", "val", "test"]
    assert people.loc["x", columns].tolist() == [0, 2, 2, 1, 0, 1]
    assert people.loc["y", columns].tolist() == [2, 1, 1, 0, 1, 0]


def test_readers_that_number_alike_have_the_same_people() -> None:
    text = b"path,identity,split\na,celeba_hd:1,train\nb,celeba:1,public\nc,lfw:1,public\n"
    table = sides(read_manifest(text + b"d,people:1,test\n"))
    assert table.set_index("path")["sides"].to_dict() == {"celeba_hd:1": 2, "lfw:1": 2}


def test_pixel_statistics_are_those_of_one_image(
    prepared: Prepared, manifest: pd.DataFrame
) -> None:
    table = pixels(manifest, prepared.private, prepared.public)
    image = prepared.private["train_images"][2].numpy() / 255
    assert table["mean"][2] == pytest.approx(image.mean())
    assert table["std"][2] == pytest.approx(image.std())
