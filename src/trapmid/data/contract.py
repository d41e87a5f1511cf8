"""The contract that prepared data must keep, checked with Great Expectations.

The suites are Python, for their bounds come from the parameters. Only this module imports Great
Expectations, whose import takes seconds. The context is ephemeral: no files, no network.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from trapmid.config.study import DataRow, Validation
from trapmid.data.likeness import NEAR, fingerprints, nearest
from trapmid.data.listing import DataError
from trapmid.data.prepare import ManifestRow, pixel_hash
from trapmid.data.splits import SPLITS

with warnings.catch_warnings():  # at its import only: it still uses modules that Python retires
    warnings.simplefilter("ignore")
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

_EXAMPLES = 5  # offending rows kept per expectation
_UNIQUE = 0.999  # share of private images without a twin: CelebA holds a few pictures twice
_COLUMNS = ("column", "column_A", "column_B")  # where an expectation names what it looks at
_NONE = "none"  # in a column of near twins: there is none
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
            for e in self.content["expectations"]
            if not e["success"]
        ]


def read_manifest(text: bytes) -> pd.DataFrame:
    """manifest.csv as strings, but for the numbers `label` and `size`; an empty cell is missing."""
    try:
        table = pd.read_csv(io.BytesIO(text), dtype=str, na_values=[""], keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"manifest.csv: {' '.join(str(error).split())}") from None
    for column in ("label", "size"):
        if column in table:  # text that is no number goes missing, which the suites refuse
            table[column] = pd.to_numeric(table[column], errors="coerce")
    return table


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
        manifest: see `read_manifest`.
        private: the tensors of private.pt, see `prepare.Prepared`.
        public: (N, 3, S, S) uint8.

    Raises:
        DataError: the manifest has not one row per image of the tensors.
    """
    results = _validate("columns", manifest, _column_suite())
    if results[0]["success"]:  # without its columns nothing more can be said
        pixels = _pixel_table(manifest, private, public)
        inside = manifest["split"].isin(SPLITS)
        known = manifest.dropna(subset=["identity"])
        twins = set(manifest["hash"][~inside])
        near = manifest.assign(**_near_twins(manifest["path"].astype(str), private, public))
        own = near[inside].assign(public_twins=manifest["hash"][inside].isin(twins).astype(int))
        results += _validate("manifest", manifest, _manifest_suite(row))
        results += _validate("private", own, _private_suite(row, len(own)))
        results += _validate("public", manifest[~inside], _public_suite(bounds))
        results += _validate("sides", _sides(known), _side_suite())
        results += _validate("identities", _identities(manifest[inside]), _class_suite(row, bounds))
        results += _validate("pixels", pixels, _pixel_suite(row, bounds))
    success = all(result["success"] for result in results)
    counts = {
        "identities": int(manifest["label"].nunique()) if "label" in manifest else 0,
        **{key: len(private[f"{key}_images"]) for key in SPLITS},
        "public": len(public),
    }
    content = {"data": name, "success": success, "expectations": results, "counts": counts}
    return Verdict(content, success)


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
        gxe.ExpectColumnValuesToBeUnique(column="hash", mostly=_UNIQUE),
        gxe.ExpectColumnValuesToBeInSet(column="public_twins", value_set=[0]),
        gxe.ExpectColumnValuesToBeInSet(column="public_near_twin", value_set=[_NONE], **allowed),
        # Shots of one scene are in CelebA, too, so these are counted and named, never refused.
        gxe.ExpectColumnValuesToBeInSet(column="split_near_twin", value_set=[_NONE], mostly=0.0),
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
            else gxe.ExpectColumnValuesToBeBetween(column=name, min_value=1)
            for name in SPLITS
        ),
    ]


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


# --- the tables they look at; `path` names the row in messages ----------------------------------


def _sides(known: pd.DataFrame) -> pd.DataFrame:
    """Per person known by number: on how many sides, private and public, the person is."""
    sides = known.assign(side=known["split"].eq("public"))
    return (
        sides.groupby("identity")
        .agg(sides=("side", "nunique"))
        .reset_index()
        .rename(columns={"identity": "path"})
    )


def _near_twins(
    paths: pd.Series[str], private: Mapping[str, Tensor], public: Tensor
) -> dict[str, list[str]]:
    """Columns: per private image the path of a near twin, public and in another split."""
    parts = [fingerprints(private[f"{name}_images"]) for name in SPLITS]
    names = np.split(paths.to_numpy(), np.cumsum([len(part) for part in parts]))
    in_split = []
    for index, part in enumerate(parts):
        others = [other for other in range(len(parts)) if other != index]
        rest = torch.cat([parts[other] for other in others])
        in_split += _twin(part, rest, np.concatenate([names[other] for other in others]).tolist())
    in_public = _twin(torch.cat(parts), fingerprints(public), names[-1].tolist())
    none = [_NONE] * len(public)
    return {"public_near_twin": in_public + none, "split_near_twin": in_split + none}


def _twin(prints: Tensor, others: Tensor, paths: Sequence[str]) -> list[str]:
    if not len(others):
        return [_NONE] * len(prints)
    found = nearest(prints, others)
    near = (found.distance <= NEAR).tolist()
    return [
        paths[place] if is_near else _NONE
        for place, is_near in zip(found.place.tolist(), near, strict=True)
    ]


def _identities(inside: pd.DataFrame) -> pd.DataFrame:
    """Per private person: the label, how many labels and images, images per split."""
    table = inside.assign(**{name: inside["split"].eq(name).astype(int) for name in SPLITS})
    return (
        table.groupby("identity")
        .agg(
            label=("label", "first"),
            labels=("label", "nunique"),
            images=("path", "size"),
            **{name: (name, "sum") for name in SPLITS},
        )
        .reset_index()
        .rename(columns={"identity": "path"})
    )


def _pixel_table(
    manifest: pd.DataFrame, private: Mapping[str, Tensor], public: Tensor
) -> pd.DataFrame:
    """Per image what the tensors hold, beside what the manifest says of it."""
    parts = [*(private[f"{name}_images"] for name in SPLITS), public]
    labels = torch.cat([private[f"{name}_labels"] for name in SPLITS]).tolist()
    if len(manifest) != sum(map(len, parts)):
        raise DataError(f"manifest.csv: has {len(manifest)} rows for {sum(map(len, parts))} images")
    rows = [
        {
            "mean": float((values := image.double() / 255).mean()),
            "std": float(values.std(unbiased=False)),
            "tensor": f"{image.dtype} {'x'.join(map(str, image.shape))}",
            "tensor_hash": pixel_hash(image),
        }
        for part in parts
        for image in part
    ]
    # -1 stands for "no label" on both sides: two missing values would not count as equal.
    return pd.DataFrame(rows).assign(
        path=manifest["path"].to_numpy(),
        hash=manifest["hash"].to_numpy(),
        label=manifest["label"].fillna(-1).astype(int).to_numpy(),
        tensor_label=labels + [-1] * len(public),
    )


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
