"""Rows of results: kept measurement by measurement, and written as one file of a device."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
PREPARED = ROOT / "build/on_gpu"
RESULTS = ROOT / "benchmarks/results"

Row = dict[str, Any]
"""`name`, `value`, `unit`, and what else one must know to read the value."""
Measure = Callable[[], Iterable[Row]]


def row(name: str, value: float | str | bool | None, unit: str, **more: Any) -> Row:
    """A result; numbers are rounded to six digits, so that files can be read."""
    if isinstance(value, float):
        value = float(f"{value:.6g}")
    return {"name": name, "value": value, "unit": unit, **more}


def device_name(device: torch.device) -> str:
    """What the maker calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()})"


def code_digest() -> str:
    """Of the sources and profiles that a number depends on; 12 hexadecimal digits."""
    folders = {"src/trapmid": "*.py", "profiles": "*.yaml"}
    folders |= {f"benchmarks/{kind}": "*.py" for kind in ("gpu", "bench")}
    files = sorted(file for name, kind in folders.items() for file in (ROOT / name).rglob(kind))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Book:
    """Where the rows of one device and one state of the code are kept."""

    out: Path
    toy: bool
    device: torch.device
    code: str
    end: float = math.inf  # when it must be over, in seconds since 1970

    @property
    def _of(self) -> str:
        words = "toy" if self.toy else device_name(self.device)
        return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")

    @property
    def kept(self) -> Path:
        """The folder of finished measurements."""
        parts = self.out / "parts" if self.toy else PREPARED / "parts"
        return parts / f"{self._of}-{self.code}"

    def file(self, suffix: str) -> Path:
        """`<date>-<device><suffix>` among the results."""
        return self.out / f"{datetime.now(UTC):%Y-%m-%d}-{self._of}{suffix}"

    def run(self, part: str, name: str, measure: Measure) -> None:
        """Makes a measurement unless it was made, and writes its rows; a failure is a row, too."""
        measurement = f"{part}/{name}"
        if self.has(measurement):
            print(f"{measurement}: there already", flush=True)
            return
        begun = datetime.now(UTC)
        try:
            rows = list(measure())
        except Exception as error:  # whatever it is, the other measurements go on
            traceback.print_exc()
            self.fail(measurement, f"{type(error).__name__}: {error}")
            return
        rows.append(row("took", (datetime.now(UTC) - begun).total_seconds(), "s"))
        self._keep(measurement, [self._signed(measurement, one) for one in rows])

    def fail(self, measurement: str, why: str) -> None:
        """Writes that there is no result and why; the measurement is tried again next time."""
        print(f"{measurement}: failed: {why}", flush=True)
        one = row("failed", None, "", note=" ".join(why.split())[:500], failed=True)
        self._keep(measurement, [self._signed(measurement, one)])

    def has(self, measurement: str) -> bool:
        """Whether the measurement ended well."""
        file = self._place(measurement)
        return file.exists() and not any(one.get("failed") for one in _read(file))

    def forget(self, measurement: str) -> None:
        """Takes the rows of a measurement away, such as the failure of a whole part."""
        self._place(measurement).unlink(missing_ok=True)

    def rows(self) -> list[Row]:
        """Every row so far."""
        return [one for file in sorted(self.kept.glob("*.json")) for one in _read(file)]

    def value(self, name: str) -> float | None:
        """A number of an earlier measurement."""
        return next((one["value"] for one in self.rows() if one["name"] == name), None)

    def publish(self) -> None:
        """Writes the file of results: of two processes at once the slower one may have less."""
        _write(self.file(".json"), self.rows())

    def take_over(self) -> None:
        """Takes finished measurements of this device and code out of the files of results."""
        for file in sorted(
            {*self.out.glob("*.json"), *(() if self.toy else RESULTS.glob("*.json"))}
        ):
            rows = [one for one in _read(file) if one.get("code") == self.code]
            rows = [one for one in rows if self._is_mine(one) and not one.get("failed")]
            for measurement in {one["measurement"] for one in rows} - {""}:
                if not self.has(measurement):
                    self._keep(measurement, [o for o in rows if o["measurement"] == measurement])

    def _is_mine(self, one: Row) -> bool:
        return bool(one["toy"] == self.toy and one["machine"] == device_name(self.device))

    def _signed(self, measurement: str, one: Row) -> Row:
        signature = {
            "measurement": measurement,
            "device": device_name(self.device),
            "machine": device_name(self.device),
            "torch": torch.__version__,
            "precision": "",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "code": self.code,
            "toy": self.toy,
        }
        return {**signature, **one, "name": f"{measurement}: {one['name']}"}

    def _place(self, measurement: str) -> Path:
        return self.kept / f"{measurement.replace('/', '.').replace(' ', '_')}.json"

    def _keep(self, measurement: str, rows: list[Row]) -> None:
        """At its end a measurement is among the results, whatever becomes of the next."""
        _write(self._place(measurement), rows)
        self.publish()


def _read(file: Path) -> list[Row]:
    content = json.loads(file.read_text(encoding="utf-8"))
    return [one for one in content if isinstance(one, dict)]  # another benchmark's file, perhaps


def _write(file: Path, rows: list[Row]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(f".{os.getpid()}")  # several processes may write
    beside.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    beside.replace(file)
