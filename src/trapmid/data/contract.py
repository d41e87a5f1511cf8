"""The contract that prepared data must keep, checked with Great Expectations.

The suites are Python, for their bounds come from the parameters. Only this module imports Great
Expectations, whose import takes seconds. The context is ephemeral: no files, no network.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from trapmid.config.study import DataRow, Validation
from trapmid.data import tables
from trapmid.data.prepare import ManifestRow
from trapmid.data.splits import SPLITS

with warnings.catch_warnings():  # at its import only: it still uses modules that Python retires
    warnings.simplefilter("ignore")
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

_EXAMPLES = 5  # offending rows kept per expectation
_COLUMNS = ("column", "column_A", "column_B")  # where an expectation names what it looks at
_BOUNDS = {
    ("identities", "images"): "validation.images_per_class",
    ("identities", ""): "data.*.identities",
    ("public", ""): "validation.public_images",
    ("pixels", "mean"): "validation.pixel_mean and max_dark_share",
    ("pixels", "std"): "validation.pixel_std and max_dark_share",
    ("private", "public_near_twin"): "data.*.public_near_twins",
}
"""Suite and column of an expectation -> what of params.yaml its bounds are."""
_HASH = r"^[0-9a-f]{64}$"


@dataclass(frozen=True)
class Verdict:
    """The outcome for one data set."""

    content: dict[str, Any]  # what reports/data/<row>.json holds: sorted, free of times and ids
    success: bool

    def failures(self) -> list[str]:
        """One line per broken expectation: what, where, how many, and some offending rows."""
        return [
            f"{e['suite']}: {e['expectation']}({e['column'] or ''}) {_words(e['kwargs'])}: "
            f"{e['unexpected']} of {e['checked']} rows break it: {'; '.join(e['examples'])}"
            f"{_by(e)}"
            for e in self.content["expectations"]
            if not e["success"]
        ]


def _by(expectation: Mapping[str, Any]) -> str:
    """The key of params.yaml that sets the bound, where one does."""
    key = _BOUNDS.get((expectation["suite"], expectation["column"] or ""))
    return f" (bounds: {key})" if key else ""


def check(
    name: str,
    row: DataRow,
    bounds: Validation,
    manifest: pd.DataFrame,
    private: Mapping[str, Tensor],
    public: Tensor,
) -> Verdict:
    """Validates one prepared data set.

    Args:
        name: the row's name, for the report.
        row: its parameters.
        bounds: what is allowed.
        manifest: see `tables.read_manifest`.
        private: the tensors of private.pt, see `prepare.Prepared`.
        public: (N, 3, S, S) uint8.

    Raises:
        DataError: the manifest has not one row per image of the tensors.
    """
    results = _validate("columns", manifest, _column_suite())
    if results[0]["success"]:  # without its columns nothing more can be said
        pixels = tables.pixels(manifest, private, public)
        inside = manifest["split"].isin(SPLITS)
        known = manifest.dropna(subset=["identity"])
        paths = manifest["path"].astype(str).tolist()
        near = manifest.assign(
            **tables.near_twins(paths, private, public), **tables.twins(manifest)
        )
        people = tables.identities(manifest[inside])
        results += _validate("manifest", manifest, _manifest_suite(row))
        results += _validate("private", near[inside], _private_suite(row, int(inside.sum())))
        results += _validate("public", manifest[~inside], _public_suite(bounds))
        results += _validate("sides", tables.sides(known), _side_suite())
        results += _validate("identities", people, _class_suite(row, bounds))
        results += _validate("pixels", pixels, _pixel_suite(row, bounds))
    success = all(result["success"] for result in results)
    counts = {
        "identities": int(manifest["label"].nunique()) if "label" in manifest else 0,
        **{key: len(private[f"{key}_images"]) for key in SPLITS},
        "public": len(public),
    }
    content = {"data": name, "success": success, "expectations": results, "counts": counts}
    return Verdict(content | {"private_twins": _twins(results)}, success)


def _twins(results: Sequence[Mapping[str, Any]]) -> int:
    """Private images that are there under another name, too."""
    wanted = ("private", "hash", "expect_column_values_to_be_unique")
    found = [r for r in results if (r["suite"], r["column"], r["expectation"]) == wanted]
    return sum(int(result["unexpected"]) for result in found)


# --- the suites ---------------------------------------------------------------------------------


def _column_suite() -> list[Any]:
    return [gxe.ExpectTableColumnsToMatchOrderedList(column_list=list(ManifestRow._fields))]


def _manifest_suite(row: DataRow) -> list[Any]:
    return [
        gxe.ExpectColumnValuesToNotBeNull(column="path"),
        gxe.ExpectColumnValuesToBeUnique(column="path"),
        gxe.ExpectColumnValuesToNotBeNull(column="split"),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=[*SPLITS, "public"]),
        gxe.ExpectColumnValuesToNotBeNull(column="size"),
        gxe.ExpectColumnValuesToBeInSet(column="size", value_set=[row.image_size]),
        gxe.ExpectColumnValuesToNotBeNull(column="hash"),
        gxe.ExpectColumnValuesToMatchRegex(column="hash", regex=_HASH),
    ]


def _private_suite(row: DataRow, count: int) -> list[Any]:
    allowed = {"mostly": max(0.0, (count - n) / count)} if (n := row.public_near_twins) else {}
    return [
        gxe.ExpectColumnValuesToNotBeNull(column="identity"),
        gxe.ExpectColumnValuesToNotBeNull(column="label"),
        gxe.ExpectColumnValuesToBeBetween(
            column="label", min_value=0, max_value=row.identities - 1
        ),
        # CelebA holds some pictures twice: they are counted and named, and stand in one split.
        gxe.ExpectColumnValuesToBeUnique(column="hash", mostly=0.0),
        gxe.ExpectColumnValuesToBeInSet(column="split_twin", value_set=[0]),
        gxe.ExpectColumnValuesToBeInSet(column="public_twin", value_set=[0]),
        gxe.ExpectColumnValuesToBeInSet(
            column="public_near_twin", value_set=[tables.NO_TWIN], **allowed
        ),
        # Shots of one scene are in CelebA, too, so these are counted and named, never refused.
        gxe.ExpectColumnValuesToBeInSet(
            column="split_near_twin", value_set=[tables.NO_TWIN], mostly=0.0
        ),
    ]


def _public_suite(bounds: Validation) -> list[Any]:
    low, high = bounds.public_images
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=low, max_value=high),
        gxe.ExpectColumnValuesToBeNull(column="label"),
    ]


def _side_suite() -> list[Any]:
    return [gxe.ExpectColumnValuesToBeInSet(column="sides", value_set=[1])]


def _class_suite(row: DataRow, bounds: Validation) -> list[Any]:
    low, high = bounds.images_per_class
    return [
        gxe.ExpectTableRowCountToEqual(value=row.identities),
        gxe.ExpectColumnValuesToBeInSet(column="labels", value_set=[1]),
        gxe.ExpectColumnValuesToBeUnique(column="label"),
        gxe.ExpectColumnValuesToBeBetween(column="images", min_value=low, max_value=high),
        *(
            gxe.ExpectColumnValuesToBeInSet(column=name, value_set=[0])
            if name == "val" and row.val_fraction == 0
            else gxe.ExpectColumnValuesToBeBetween(column=name, min_value=_least(name, row))
            for name in SPLITS
        ),
    ]


def _least(split: str, row: DataRow) -> int:
    """Images of a person in a split; a shuffle of all of them may leave nobody's for test."""
    return 0 if split == "test" and row.test_split == "shuffled" else 1


def _pixel_suite(row: DataRow, bounds: Validation) -> list[Any]:
    mostly = 1 - bounds.max_dark_share
    mean_low, mean_high = bounds.pixel_mean
    std_low, std_high = bounds.pixel_std
    shape = f"torch.uint8 3x{row.image_size}x{row.image_size}"
    return [
        gxe.ExpectColumnValuesToBeInSet(column="tensor", value_set=[shape]),
        gxe.ExpectColumnPairValuesToBeEqual(column_A="hash", column_B="tensor_hash"),
        gxe.ExpectColumnPairValuesToBeEqual(column_A="label", column_B="tensor_label"),
        gxe.ExpectColumnValuesToBeBetween(
            column="mean", min_value=mean_low, max_value=mean_high, mostly=mostly
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="std", min_value=std_low, max_value=std_high, mostly=mostly
        ),
    ]


# --- Great Expectations -------------------------------------------------------------------------


def _validate(suite: str, table: pd.DataFrame, expectations: Sequence[Any]) -> list[dict[str, Any]]:
    """The normalised results, sorted by expectation and column."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas(suite).add_dataframe_asset(suite)
    batch = asset.add_batch_definition_whole_dataframe(suite).get_batch({"dataframe": table})
    # Not COMPLETE, and no index columns: with 200,000 offending rows they take a minute each.
    found = batch.validate(
        gx.ExpectationSuite(name=suite, expectations=list(expectations)),
        result_format={"result_format": "SUMMARY"},
    )
    results = [_normalise(suite, table, result.to_json_dict()) for result in found.results]
    return sorted(results, key=lambda r: (r["expectation"], r["column"] or "", str(r["kwargs"])))


def _normalise(suite: str, table: pd.DataFrame, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A result without times and ids, which differ between two runs."""
    config, result = raw["expectation_config"], raw["result"]
    kwargs = {key: value for key, value in config["kwargs"].items() if key != "batch_id"}
    if not result:
        errors = [error["exception_message"] for error in raw["exception_info"].values()]
        raise RuntimeError(f"{suite}: {config['type']} could not be evaluated: {errors}")
    per_row = "element_count" in result  # else a statement about the whole table
    places = (result.get("partial_unexpected_index_list") or [])[:_EXAMPLES]
    names = dict.fromkeys(["path", *(kwargs[key] for key in _COLUMNS if key in kwargs)])
    examples = [_words({name: table.at[place, name] for name in names}) for place in places]
    if not per_row and not raw["success"]:
        examples = [f"observed {result['observed_value']}"]
    return {
        "suite": suite,
        "expectation": config["type"],
        "column": kwargs.pop("column", None) or kwargs.get("column_A"),
        "kwargs": kwargs,
        "success": bool(raw["success"]),
        "unexpected": int(result["unexpected_count"]) if per_row else int(not raw["success"]),
        "checked": int(result["element_count"]) if per_row else 1,
        "examples": examples,
    }


def _words(values: Mapping[str, Any]) -> str:
    """A mapping in words, the path first: "faces/000001.jpg label=7"."""
    rest = [
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in values.items()
        if key != "path"
    ]
    return " ".join([str(values["path"]), *rest] if "path" in values else rest)
