"""The scores of this repository's study as a table: AA-1 of every attack on every defence."""

from dataclasses import asdict
from pathlib import Path

from trapmid.artifacts import results
from trapmid.config import params
from trapmid.scoring.scores import AttackScores, read_all

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]

# Of params.yaml: the folder of scores may hold files of rows that are gone, of another study's.
rows = sorted(params.read(ROOT / "params.yaml")["attack_runs"])
scores = pd.DataFrame([asdict(one) for one in read_all(AttackScores, ROOT, rows).values()])
means = scores.pivot_table(index="attack", columns="defense", values="aa1")  # over the seeds
print((100 * means).round(1).to_string(na_rep="-"))

metrics = results.read_json(ROOT / "reports/metrics.json")
study = metrics["study"]
print(f"\nAA-1 in %, mean over seeds {study['seeds']} of profile {study['profile']}; worst case:")
for defense, worst in metrics["worst"].items():
    print(f"{defense}: {100 * worst['aa1']:.1f} % by {worst['attack']}")
