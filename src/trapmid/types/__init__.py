"""The nouns of the study: what a target, a defence, a prior and an attack are."""

from trapmid.types.attack import Attack, LabelAttack, Reconstruction, Task
from trapmid.types.attacker import NOTHING, Knowledge, Prior, PriorRecipe, Surrogate
from trapmid.types.classifier import Embedding, LabelsOnly, Output, Target
from trapmid.types.defense import Defense, Objective, Setting, Trapdoor
from trapmid.types.training import InMemory, Keep, Log, Loss, Progress, Saving, Stateful

__all__ = [
    "NOTHING",
    "Attack",
    "Defense",
    "Embedding",
    "InMemory",
    "Keep",
    "Knowledge",
    "LabelAttack",
    "LabelsOnly",
    "Log",
    "Loss",
    "Objective",
    "Output",
    "Prior",
    "PriorRecipe",
    "Progress",
    "Reconstruction",
    "Saving",
    "Setting",
    "Stateful",
    "Surrogate",
    "Target",
    "Task",
    "Trapdoor",
]
