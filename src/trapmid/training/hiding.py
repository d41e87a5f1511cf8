"""Discriminators that triggers hide from: eq. 4 of Trap-MID (Liu and Chen, NeurIPS 2024).

A discriminator of images is the target's own network with one output, as in the paper, or a small
convolutional network. One of features exists in the official code alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid.nets import dcgan
from trapmid.runtime import eval_mode
from trapmid.types import Output, Setting


def image_critic(setting: Setting, width: int | None) -> nn.Module:
    """One logit per image (N, 3, S, S).

    Args:
        setting: the training it joins.
        width: of the first layer of a small network, GMI's critic; None: the target's network.

    Raises:
        ValueError: the small network cannot halve images of this size.
    """
    if width is None:
        return setting.new_network(1)
    with setting.rt.seeded("initial weights", "small discriminator"):
        critic = dcgan.Critic(setting.image_shape[-1], width)
    return setting.rt.place(critic)


def feature_critic(setting: Setting) -> nn.Module:
    """Linear, ReLU, linear on features and one-hot prediction."""
    probe = setting.new_network(setting.num_classes)
    with eval_mode(probe), torch.no_grad():
        shape = (1, *setting.image_shape)
        features = probe(torch.zeros(shape, device=setting.rt.device)).features.shape[1]
    width = features + setting.num_classes
    with setting.rt.seeded("initial weights", "feature discriminator"):
        critic = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
    return setting.rt.place(critic)


def feature_input(output: Output) -> Tensor:
    """Penultimate features beside the exact one-hot of the predicted class."""
    logits = output.logits.detach()
    one_hot = F.one_hot(logits.argmax(dim=1), logits.shape[1])
    return torch.cat([output.features.float(), one_hot.to(torch.float32)], dim=1)


def score(critic: nn.Module, inputs: Tensor) -> Tensor:
    """One logit per row (N,), from a one-class target network or from another critic."""
    result = critic(inputs)
    logits = result.logits if isinstance(result, Output) else result
    return logits.flatten()


def bce(scores: Tensor, truth: float) -> Tensor:
    """Mean binary cross-entropy of logits that all have the same truth in [0, 1]."""
    scores = scores.float()
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, truth))
