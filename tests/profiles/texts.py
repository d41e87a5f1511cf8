"""Profiles that are small enough to read."""

from __future__ import annotations

from ruamel.yaml import YAML

SMALL = """\
# A header that a composed file does not repeat.

seeds: [0]

defaults: # of rows
  targets: {data: faces, arch: tiny, training: small}
  signatures: {top_n: 3}
  attack_runs: {prior: models/priors/public/gmi}

raw: {}
data: # Data sets
  faces:
    private: {reader: celeba, path: data/raw/x}
    identities: 20  # how many
evaluators:
  evaluator: {data: faces, defense: none, seed: 7}
pretrained: {}

# who is attacked
targets: # Targets
  none: {}
  # the defence
  trapmid:
    block: trapdoor
    init: models/targets/none/model.pt

classifier_training:
  small:
    lr: 1e-3  # tuned
    milestones: [10, 20]
none: {} # No defence
trapdoor: # Trap-MID
  alpha: 0.1
  beta: 0.3
public_priors:
  gmi: {seed: 0}
surrogates:
  student-none: {target: none, method: distil}
leaks:
  trapmid: {target: trapmid}
signatures:
  trapmid: {target: trapmid}
  none: {target: none}
trained_judges: {}
judges: {}
guided_priors:
  plgmi-none: {target: none, init: models/priors/public/gmi/prior.pt}
  student-none:
    target: none
    method: plgmi
    queried_model: models/surrogates/student-none
    side_information: models/signatures/trapmid.pt
attack_runs:
  gmi-none: {target: none}
  plgmi-none: {target: none, set: {lr: 0.5}}
  # through a student
  student-none:
    attack: through
    method: plgmi
    target: none
  # the end
"""
PAPER = """\
base: small
seeds: [3, 5]
data:
  faces: null
  celeba:
    identities: 1000
defaults: {targets: {data: celeba}}
trapdoor:
  alpha: 0.02
classifier_training:
  vgg: {lr: 0.01}
targets:
  trapmid: {arch: large, training: vgg}
"""


def plain(text: str):
    return YAML(typ="safe").load(text)
