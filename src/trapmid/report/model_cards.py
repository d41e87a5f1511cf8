"""A card per target, with the headings of Hugging Face's model cards (Mitchell et al., 2019)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trapmid.report import card_scores, names
from trapmid.report.findings import Findings
from trapmid.report.groups import label
from trapmid.report.sections.verdict import cautions, origins
from trapmid.report.words import listed, seconds, whole
from trapmid.scoring.machine import FIELDS

FOLDER = "model_cards"

_CARD = """\
---
license: {license}
pipeline_tag: image-classification
tags: [model-inversion, privacy, {method}]
metrics: [accuracy]
---

# Model Card for {row}

{summary}{invalid}

## Model Details

### Model Description

- **Model type:** {arch}, a classifier of {people} people with {parameters} parameters
- **Images:** {size} × {size} pixels, RGB
- **Defence:** {defence}{gloss}
- **License:** {license_words}
- **Started from:** {init}

### Model Sources

- **Repository:** the project trapmid; the row `{row}` of `targets` in its params.yaml

## Uses

### Direct Use

Research on model inversion: a target to attack, or a defence to compare with.

### Out-of-Scope Use

It knows nobody but its training people, and must not be used to identify people. The defence is no
guarantee of privacy.

## Bias, Risks, and Limitations

{limits}

### Recommendations

{attacked}

## How to Get Started with the Model

```python
from pathlib import Path

import torch

from trapmid.artifacts import classifiers
from trapmid.runtime import Runtime

rt = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
loaded = classifiers.load(Path("models/targets/{row}/model.pt"), rt)
logits = loaded.model(images).logits  # images: (N, 3, {size}, {size}) float32 in [0, 1]
```

## Training Details

### Training Data

{data}

### Training Procedure

#### Training Hyperparameters

```json
{hyperparameters}
```

#### Speeds, Sizes, Times

{times}

## Evaluation

### Testing Data, Factors & Metrics

Private test images for the accuracy; the reconstructions of every attack of the study for AA-1, the
share in which an independent classifier recognises the attacked person; and the share on which the
judges beside it agree with it, where there are any. In brackets: 95 % intervals over people (of
trapdoor success: over images).

### Results

{results}

## Environmental Impact

{impact}

## Technical Specifications

### Compute Infrastructure

{infrastructure}

## Citation

See CITATION.cff of the repository, and the paper of the defence in docs/defenses.md.
"""


def cards(found: Findings) -> dict[str, bytes]:
    """Markdown by path under reports/, one per row of `targets`."""
    return {f"{FOLDER}/{row}.md": card(found, row).encode() for row in found.params["targets"]}


def card(found: Findings, row: str) -> str:
    """The card of one target."""
    return _CARD.format(
        row=row, **_identity(found, row), **_training(found, row), **card_scores.scores(found, row)
    )


def _identity(found: Findings, row: str) -> dict[str, Any]:
    """What the model is."""
    block = found.params["targets"][row]
    known = names.DEFENSES.get(block["defense"])
    drawn = "synthetic" in origins(found.params, block["data"])
    return {
        "method": str(block["defense"]).replace("_", "-"),
        "license": "apache-2.0" if drawn else "other",
        "license_words": "Apache-2.0" if drawn else "that of the training images",
        "summary": f"A target of the study {found.params['profile']}, seed {block['seed']}: "
        f"{names.defense(label(found.params, block))}.",
        "arch": block["arch"],
        "people": found.inputs.contracts[block["data"]]["counts"].get("identities", "–"),
        "size": found.params["data"][block["data"]]["image_size"],
        "parameters": whole(found.inputs.stats["targets"][row].get("parameters")),
        "defence": names.defense(str(block["defense"])),
        "gloss": f" ({known.gloss})" if known and known.gloss else "",
        "init": f"`{block['init']}`",
        "limits": "\n".join(f"- {caution}" for caution in cautions(found)) or "None was found.",
    }


def _training(found: Findings, row: str) -> dict[str, str]:
    """How it was trained, and what that took."""
    block, stats = found.params["targets"][row], found.inputs.stats["targets"][row]
    counts = found.inputs.contracts[block["data"]]["counts"]
    used = {
        "training": found.params["classifier_training"][block["training"]],
        str(block["block"]): found.params.get(block["block"], {}),
        "set": block.get("set", {}),
    }
    time, memory = seconds(float(stats["seconds"])), whole(float(stats["peak_memory_mb"]))
    return {
        "data": f"The row `{block['data']}` of `data`: {listed(counts)}.",
        "hyperparameters": json.dumps(used, indent=2, ensure_ascii=False),
        "times": f"{time} s, at most {memory} MB.",
        "impact": f"{time} s of computing on {stats['device']}; no energy was measured.",
        "infrastructure": _infrastructure(stats),
    }


def _infrastructure(stats: Mapping[str, Any]) -> str:
    return f"{', '.join(f'{name} {stats[name]}' for name in FIELDS if stats.get(name))}."
