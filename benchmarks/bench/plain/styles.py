"""PPA's phases and IF-GMI's search as the released code has them, on images of the target's size.

Views are cut image by image. The released code gives a batch one view; here every image has its
own, so that both sides compute the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.plain.searches import learning
from trapmid import losses
from trapmid.attacks import ifgmi
from trapmid.attacks.ppa import Attack, Robustness
from trapmid.augment import ResizedCrop
from trapmid.runtime import counter_uniform
from trapmid.search import latents
from trapmid.search.candidates import Candidates
from trapmid.types import BlockPrior, Features, StylePrior, Target, Task

BATCH = 25  # images of a search
CHUNK = 250  # images whose views are scored together


@torch.no_grad()
def candidates(
    how: Candidates, prior: StylePrior, pool: Sequence[Tensor], target: Target
) -> Tensor:
    """(C, keep): for every image that is asked for, all scores of its class are sorted again."""
    answers = []
    for part in pool:
        images = prior.paint(prior.styles(part, how.psi, how.cutoff))
        images = images.clamp(0, 1) if how.clip else images
        both = [target(one).logits.softmax(dim=1) for one in (images, images.flip(-1))]
        answers.append((both[0] + both[1]) / 2)
    scores = torch.cat(answers)
    order = [
        [
            int(scores[:, label].sort(descending=True, stable=True).indices[rank])
            for rank in range(how.keep)
        ]
        for label in range(target.num_classes)
    ]
    return torch.tensor(order)


def search(attack: Attack, target: Target, prior: StylePrior, task: Task, seed: int) -> Tensor:
    """The last codes (N, W), batch after batch; the target's weights take gradients, too."""
    keys = latents.row_keys(task.labels, task.draws, seed, "views")
    with torch.no_grad():
        codes = prior.candidates(task.labels, task.draws)[:, 0]
    parts = zip(codes.split(BATCH), task.labels.split(BATCH), keys.split(BATCH), strict=True)
    with learning(target, prior):
        return torch.cat([_search(attack, target, prior, *part) for part in parts])


def _search(
    attack: Attack,
    target: Target,
    prior: StylePrior,
    codes: Tensor,
    labels: Tensor,
    keys: Tensor,
) -> Tensor:
    codes = codes.clone().requires_grad_(True)
    adam = torch.optim.Adam([codes], lr=attack.lr, betas=attack.betas)
    scale = len(codes) / attack.reference_batch
    for step in range(attack.steps):
        images = prior.paint(codes[:, None].expand(-1, prior.num_styles, -1))
        u = counter_uniform(keys + step, ResizedCrop.DRAWS)
        logits = target(crop(images, attack.view, u)).logits
        loss = losses.IDENTITY[attack.loss](logits, labels).mean()
        adam.zero_grad()
        (scale * loss).backward()
        adam.step()
        loss.item()
    return codes.detach()


def search_layers(
    attack: ifgmi.Attack,
    target: Target,
    prior: BlockPrior,
    codes: Tensor,
    task: Task,
    seed: int,
) -> Tensor:
    """IF-GMI's images (N, 3, S, S), batch after batch, each of the layer with the least loss.

    Args:
        codes: (N, W), where the search begins.
    """
    keys = latents.row_keys(task.labels, task.draws, seed, "views")
    size = attack.reference_batch
    parts = zip(codes.split(size), task.labels.split(size), keys.split(size), strict=True)
    with learning(target, prior):
        return torch.cat([_through_layers(attack, target, prior, *part) for part in parts])


def _through_layers(
    attack: ifgmi.Attack,
    target: Target,
    prior: BlockPrior,
    codes: Tensor,
    labels: Tensor,
    keys: Tensor,
) -> Tensor:
    images, scores, before, done = [], [], None, 0
    steps = [attack.steps, *(one.steps for one in attack.layers)]
    for layer, count in enumerate(steps):
        variables = [codes.detach().clone().requires_grad_(True)]
        if layer > 0:
            with torch.no_grad():
                before = prior.block(layer - 1, before, codes, labels)
            begun = before.maps.detach().clone()
            variables.append(begun.clone().requires_grad_(True))
            before = Features(variables[1], before.painted)
        codes = variables[0]
        adam = torch.optim.Adam(variables, lr=attack.lr, betas=attack.betas)
        for step in range(done, done + count):
            shown = prior.shown(prior.through(layer, prior.num_blocks, before, codes, labels))
            u = counter_uniform(keys + step, ResizedCrop.DRAWS)
            logits = target(crop(shown, attack.view, u)).logits
            loss = losses.IDENTITY[attack.loss](logits, labels).mean()
            adam.zero_grad()
            (len(codes) / attack.reference_batch * loss).backward()
            adam.step()
            loss.item()
            if layer > 0:
                _hold(variables[1], begun, attack.layers[layer - 1].radius)
        done += count
        with torch.no_grad():
            last = prior.through(layer, prior.num_blocks, before, codes, labels)
            images.append(prior.shown(last).clamp(0, 1))
            scores.append(losses.IDENTITY[attack.loss](target(images[-1]).logits, labels))
    best = torch.stack(scores).argmin(dim=0)
    return torch.stack([images[layer][row] for row, layer in enumerate(best.tolist())])


@torch.no_grad()
def _hold(maps: Tensor, begun: Tensor, radius: float) -> None:
    """Brings features back into the l1 ball, image by image, by their sorted sizes."""
    for own, first in zip(maps, begun, strict=True):
        away = (own - first).flatten()
        if away.abs().sum() <= radius:
            continue
        ordered = away.abs().sort(descending=True).values
        over = (ordered.cumsum(dim=0) - radius) / torch.arange(1, len(ordered) + 1).to(ordered)
        shrink = over[int((ordered > over).nonzero().max())]
        own.copy_(first + (away.sign() * (away.abs() - shrink).clamp(min=0)).view_as(own))


@torch.no_grad()
def confidence(
    how: Robustness, target: Target, prior: StylePrior, codes: Tensor, labels: Tensor, keys: Tensor
) -> Tensor:
    """(N,): the label's probability, a mean over views of images that are made again for it."""
    found = []
    for some, of, key in zip(
        codes.split(CHUNK), labels.split(CHUNK), keys.split(CHUNK), strict=True
    ):
        images = prior.paint(some[:, None].expand(-1, prior.num_styles, -1))
        scores = []
        for number in range(how.views):
            u = counter_uniform(key + number, ResizedCrop.DRAWS + 1)
            views = crop(images, how.crop, u[:, :-1])
            pairs = zip(views, u[:, -1] < how.mirror, strict=True)
            views = torch.stack([x.flip(-1) if on else x for x, on in pairs])
            probabilities = target(views).logits.softmax(dim=1)
            scores.append(probabilities.gather(1, of[:, None]).squeeze(1))
        found.append(torch.stack(scores).mean(dim=0))
    return torch.cat(found)


def crop(images: Tensor, how: ResizedCrop, u: Tensor) -> Tensor:
    """One slice and one resizing an image: torchvision's `resized_crop`, which here enlarges."""
    size = images.shape[-1]
    boxes = torch.stack(how.boxes(u, size), dim=1).long().tolist()
    parts = []
    for number, (width, height, left, top) in enumerate(boxes):
        part = images[number : number + 1, :, top : top + height, left : left + width]
        parts.append(F.interpolate(part, (size, size), mode="bilinear", align_corners=False))
    return torch.cat(parts)
