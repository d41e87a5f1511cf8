"""The data contract: it holds for good data, and names what is broken."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from trapmid.config.study import DataRow, Validation
from trapmid.data import contract
from trapmid.data.celeba import Reader
from trapmid.data.contract import Verdict, check
from trapmid.data.listing import DataError
from trapmid.data.pixels import pixel_hash
from trapmid.data.prepare import Prepared, prepare, to_csv
from trapmid.data.tables import read_manifest


@pytest.fixture
def verdict_of(row: DataRow, bounds: Validation, prepared: Prepared) -> Callable[..., Verdict]:
    def make(manifest: pd.DataFrame, **changes: object) -> Verdict:
        limits = dataclasses.replace(bounds, **changes)  # type: ignore[arg-type]
        return check("toy", row, limits, manifest, prepared.private, prepared.public)

    return make


Verdicts = Callable[..., Verdict]


def broken(verdict: Verdict) -> set[tuple[str, str | None]]:
    rows = verdict.content["expectations"]
    return {(row["suite"], row["column"]) for row in rows if not row["success"]}


def test_good_data_keep_the_contract(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    verdict = verdict_of(manifest)
    assert verdict.success, verdict.failures()
    assert verdict.failures() == []
    content = verdict.content
    assert content["data"] == "toy"
    assert content["success"] is True
    assert content["counts"] == {"identities": 3, "train": 12, "val": 3, "test": 3, "public": 11}
    assert content["private_twins"] == 0
    keys = {"suite", "expectation", "column", "kwargs", "success", "unexpected", "checked"}
    assert all(set(row) == keys | {"examples"} for row in content["expectations"])


@pytest.mark.slow
def test_the_validation_split_is_there_or_not_as_asked(
    row: DataRow, bounds: Validation, prepared: Prepared, manifest: pd.DataFrame
) -> None:
    none = dataclasses.replace(row, val_fraction=0.0)
    without = prepare(none, Reader(), Reader())
    table = read_manifest(to_csv(without.manifest))
    good = check("toy", none, bounds, table, without.private, without.public)
    assert good.success, good.failures()
    assert good.content["counts"]["val"] == 0 and good.content["counts"]["train"] == 15
    missing = check("toy", row, bounds, table, without.private, without.public)
    unasked = check("toy", none, bounds, manifest, prepared.private, prepared.public)
    assert broken(missing) == broken(unasked) == {("identities", "val")}


@pytest.mark.slow
def test_two_runs_give_the_same_bytes(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    first, second = (json.dumps(verdict_of(manifest).content, sort_keys=True) for _ in range(2))
    assert first == second
    assert "batch_id" not in first


def test_it_is_silent(
    verdict_of: Verdicts,
    manifest: pd.DataFrame,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    verdict_of(manifest)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_broken_bound_names_its_key(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    """Which number of params.yaml would let these people in."""
    verdict = verdict_of(manifest, images_per_class=[99, 100], public_images=[1, 2])
    lines = [line for line in verdict.failures() if "between" in line]
    assert [line.rpartition(" (")[2] for line in sorted(lines)] == [
        "bounds: validation.images_per_class)",
        "bounds: validation.public_images)",
    ]


def test_a_broken_expectation_is_named_with_rows(
    verdict_of: Verdicts, manifest: pd.DataFrame
) -> None:
    manifest.loc[3, "split"] = "training"
    lines = verdict_of(manifest).failures()
    line = next(line for line in lines if line.startswith("manifest: "))
    assert "expect_column_values_to_be_in_set(split)" in line
    assert "1 of 29 rows break it" in line
    assert str(manifest.loc[3, "path"]) in line
    assert "split=training" in line


def test_missing_columns_end_the_check(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    verdict = verdict_of(manifest.drop(columns="hash"))
    assert broken(verdict) == {("columns", None)}
    assert "observed ['path', 'identity', 'label', 'split', 'size']" in verdict.failures()[0]


def test_a_person_on_both_sides(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    manifest.loc[manifest.index[-1], "identity"] = "celeba:5"
    verdict = verdict_of(manifest)
    assert broken(verdict) == {("sides", "sides")}
    assert "celeba:5 sides=2" in verdict.failures()[0]


def test_a_label_of_two_people(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    manifest.loc[manifest["label"] == 2, "label"] = 1
    names = broken(verdict_of(manifest))
    assert ("identities", "label") in names
    assert ("pixels", "label") in names  # nor do the tensors agree


def test_a_label_out_of_range_and_a_missing_one(
    verdict_of: Verdicts, manifest: pd.DataFrame
) -> None:
    manifest.loc[0, "label"] = 3
    manifest.loc[1, "label"] = float("nan")
    names = broken(verdict_of(manifest))
    assert ("private", "label") in names
    assert ("identities", "labels") in names


def test_a_class_without_test_images(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    manifest.loc[(manifest["label"] == 1) & (manifest["split"] == "test"), "split"] = "train"
    verdict = verdict_of(manifest)
    assert broken(verdict) == {("identities", "test")}
    assert "celeba:5 test=0" in verdict.failures()[0]


@pytest.mark.slow
def test_a_shuffle_may_leave_nobodys_for_test_alone(
    row: DataRow, bounds: Validation, prepared: Prepared, manifest: pd.DataFrame
) -> None:
    row = dataclasses.replace(row, test_split="shuffled")
    tensors = prepared.private, prepared.public
    of_one = manifest["label"] == 1
    manifest.loc[of_one & (manifest["split"] == "test"), "split"] = "train"
    assert check("toy", row, bounds, manifest, *tensors).success
    manifest.loc[of_one & (manifest["split"] == "train"), "split"] = "val"
    assert broken(check("toy", row, bounds, manifest, *tensors)) == {("identities", "train")}


@pytest.mark.slow
def test_more_people_than_were_asked(
    row: DataRow, bounds: Validation, prepared: Prepared, manifest: pd.DataFrame
) -> None:
    two = dataclasses.replace(row, identities=2)
    verdict = check("toy", two, bounds, manifest, prepared.private, prepared.public)
    assert broken(verdict) == {("private", "label"), ("identities", None)}


def test_twins(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    manifest.loc[1, "hash"] = manifest.loc[0, "hash"]  # both in train
    allowed = verdict_of(manifest)
    assert broken(allowed) == {("pixels", "hash")}  # the tensors have no twin
    assert allowed.content["private_twins"] == 2
    manifest.loc[13, "hash"] = manifest.loc[0, "hash"]  # in val
    manifest.loc[2, "hash"] = manifest["hash"].iloc[-1]
    manifest.loc[4, "path"] = manifest.loc[5, "path"]
    verdict = verdict_of(manifest)
    wrong = {("private", "split_twin"), ("private", "public_twin"), ("manifest", "path")}
    assert broken(verdict) == wrong | {("pixels", "hash")}
    assert [near(verdict, f"{kind}_twin")["unexpected"] for kind in ("split", "public")] == [3, 1]


def saved_again(celeba: Path, source: str, copy: str) -> None:
    """The file of `copy` becomes that of `source`, saved at quality 90."""
    files = (celeba / name.removeprefix("celeba/") for name in (source, copy))
    picture = Image.open(next(files)).convert("RGB")
    picture.save(next(files), quality=90)


def verdict_on(row: DataRow, bounds: Validation) -> Verdict:
    made = prepare(row, Reader(), Reader())
    table = read_manifest(to_csv(made.manifest))
    return check("toy", row, bounds, table, made.private, made.public)


def near(verdict: Verdict, column: str) -> dict[str, Any]:
    rows = verdict.content["expectations"]
    return next(row for row in rows if row["column"] == column)


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 64])  # with less, blobs have no detail
def test_a_private_picture_saved_again_is_not_public(
    row: DataRow, bounds: Validation, celeba: Path, manifest: pd.DataFrame, size: int
) -> None:
    row, paths = dataclasses.replace(row, image_size=size), manifest["path"]
    saved_again(celeba, paths[13], paths[22])
    verdict = verdict_on(row, bounds)
    assert broken(verdict) == {("private", "public_near_twin")}  # and no pixel hash is the same
    pair = f"{paths[13]} public_near_twin={paths[22]}"
    assert near(verdict, "public_near_twin")["examples"] == [pair]
    allowed = dataclasses.replace(row, public_near_twins=1)
    assert verdict_on(allowed, bounds).success
    saved_again(celeba, paths[0], paths[23])
    assert broken(verdict_on(allowed, bounds)) == {("private", "public_near_twin")}


@pytest.mark.slow
def test_a_near_twin_in_another_split_is_counted(
    row: DataRow, bounds: Validation, celeba: Path, manifest: pd.DataFrame
) -> None:
    row = dataclasses.replace(row, image_size=32)
    assert near(verdict_on(row, bounds), "split_near_twin")["unexpected"] == 0
    train, test = manifest["path"][3], manifest["path"][17]
    saved_again(celeba, train, test)
    verdict = verdict_on(row, bounds)
    assert verdict.success, verdict.failures()
    found = near(verdict, "split_near_twin")
    assert (found["unexpected"], found["checked"]) == (2, 18)
    pairs = (train, test), (test, train)
    assert found["examples"] == [f"{one} split_near_twin={other}" for one, other in pairs]


def test_many_offending_rows_are_named_by_the_first_five() -> None:
    table = pd.DataFrame({"path": [f"{i}.jpg" for i in range(3000)], "label": 1.5})
    expectation = contract.gxe.ExpectColumnValuesToBeBetween(column="label", max_value=1)
    (result,) = contract._validate("toy", table[1000:], [expectation])
    assert (result["unexpected"], result["checked"]) == (2000, 2000)
    assert result["examples"] == [f"{i}.jpg label=1.5" for i in range(1000, 1005)]


@pytest.mark.slow
def test_bounds_come_from_the_parameters(verdict_of: Verdicts, manifest: pd.DataFrame) -> None:
    assert broken(verdict_of(manifest, images_per_class=(6, 7))) == {("identities", "images")}
    verdict = verdict_of(manifest, public_images=(50, 60))
    assert broken(verdict) == {("public", None)}
    assert "observed 11" in verdict.failures()[0]
    verdict = verdict_of(manifest, images_per_class=(5, 6), public_images=(1, 10))
    assert broken(verdict) == {("identities", "images"), ("public", None)}
    dark, flat = {"pixel_mean": (0.0, 0.05)}, {"pixel_std": (0.0, 0.01)}
    assert broken(verdict_of(manifest, **dark)) == {("pixels", "mean")}
    assert broken(verdict_of(manifest, **flat)) == {("pixels", "std")}


@pytest.mark.slow
def test_pixels(
    verdict_of: Verdicts, manifest: pd.DataFrame, prepared: Prepared, bounds: Validation
) -> None:
    prepared.public[0] = 0  # a black image, which the manifest does not know
    assert broken(verdict_of(manifest)) == {
        ("pixels", "hash"),
        ("pixels", "mean"),
        ("pixels", "std"),
    }
    manifest.loc[18, "hash"] = pixel_hash(prepared.public[0])
    assert verdict_of(manifest, max_dark_share=1 / 29).success


def test_tensors_of_another_kind(
    row: DataRow, bounds: Validation, prepared: Prepared, manifest: pd.DataFrame
) -> None:
    verdict = check("toy", row, bounds, manifest, prepared.private, prepared.public.float())
    assert ("pixels", "tensor") in broken(verdict)
    with pytest.raises(DataError, match=r"manifest\.csv: has 28 rows for 29 images"):
        check("toy", row, bounds, manifest[:-1], prepared.private, prepared.public)
