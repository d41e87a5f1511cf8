"""Data sets and weights: where they come from, and where they go."""

from __future__ import annotations

import argparse
import sys

from trapmid.commands import refuse, told


def data(options: argparse.Namespace) -> int:
    from trapmid.placing import celeba, lfw

    try:
        if options.name == "lfw":
            if options.identities is not None:
                raise ValueError("--identities: of celeba alone; LFW's people are its folders")
            lines = lfw.place(options.source, options.to or lfw.PLACE, copy=options.copy)
        elif options.source is None:
            raise ValueError("--from is missing: CelebA comes from its authors, never from here")
        else:
            lines = celeba.place(
                options.source,
                options.to or celeba.PLACE,
                copy=options.copy,
                identities=options.identities,
            )
    except (ValueError, OSError) as error:
        return min(refuse([told(error)], f"trapmid {options.command}"), 1)
    print(*lines, sep="\n")
    return 0


def export(options: argparse.Namespace) -> int:
    from trapmid.artifacts import priors
    from trapmid.artifacts.checkpoints import CheckpointError

    try:
        digest = priors.export(options.prior, options.file)
    except CheckpointError as error:
        raise ValueError(error) from None
    print(f"{digest}  {options.file}")
    return 0


def take(options: argparse.Namespace) -> int:
    from trapmid.artifacts.checkpoints import CheckpointError
    from trapmid.foreign import importing
    from trapmid.runtime import Runtime, choose_device

    if options.kind not in importing.NAMES:
        raise ValueError(f"--as: no {options.kind!r}; there are {', '.join(importing.NAMES)}")
    rt = Runtime(device=choose_device(), seed=0, precision="fp32")
    try:
        lines = importing.import_file(
            options.file, options.kind, options.out, options.beside, options.data, rt
        )
    except CheckpointError as error:
        print(f"trapmid import: error: {error}", file=sys.stderr)
        return 1
    print(*lines, sep="\n")
    return 0


def convert_stylegan(options: argparse.Namespace) -> int:
    from trapmid.artifacts import nvidia
    from trapmid.artifacts.checkpoints import CheckpointError

    try:
        found = nvidia.convert(options.file, options.out)
    except CheckpointError as error:
        raise ValueError(error) from None
    print(f"{found.digest}  {options.out}")
    print(f"a generator of {found.size.image_size} pixels, {found.parameters:,} parameters")
    print(f"licence: {nvidia.LICENCE}")
    print(f"prior_training.style: {nvidia.block(found.size)}")
    return 0
