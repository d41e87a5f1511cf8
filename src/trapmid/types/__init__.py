"""The nouns of the study: what a target, a defence, a prior and an attack are."""

from trapmid.types.attack import Attack, LabelAttack, PaperScoring, Reconstruction, Task
from trapmid.types.attacker import (
    NOTHING,
    BlockPrior,
    Features,
    Prior,
    PriorTraining,
    SideInformation,
    StylePrior,
    Surrogate,
)
from trapmid.types.classifier import Embedding, LabelsOnly, Output, Target
from trapmid.types.defense import Defense, Objective, Setting, Trapdoor
from trapmid.types.judge import FaceBatch, Judge, Learns, Person, Reader, Verifier
from trapmid.types.training import (
    UNSAVED,
    Checkpointer,
    DivergedError,
    InMemory,
    Log,
    Loss,
    Progress,
    Saving,
    Stateful,
    check_finite,
)

__all__ = [
    "NOTHING",
    "UNSAVED",
    "Attack",
    "BlockPrior",
    "Checkpointer",
    "Defense",
    "DivergedError",
    "Embedding",
    "FaceBatch",
    "Features",
    "InMemory",
    "Judge",
    "LabelAttack",
    "LabelsOnly",
    "Learns",
    "Log",
    "Loss",
    "Objective",
    "Output",
    "PaperScoring",
    "Person",
    "Prior",
    "PriorTraining",
    "Progress",
    "Reader",
    "Reconstruction",
    "Saving",
    "Setting",
    "SideInformation",
    "Stateful",
    "StylePrior",
    "Surrogate",
    "Target",
    "Task",
    "Trapdoor",
    "Verifier",
    "check_finite",
]
