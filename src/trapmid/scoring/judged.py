"""What judges beside the evaluator say, typed: parts of the scores of attacks and of judges.

Rates are fractions in [0, 1]. A number that could not be measured is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """How many images the evaluator and another judge take for the attacked person."""

    both: int
    false_positives: int  # the evaluator alone
    false_negatives: int  # the other judge alone
    neither: int
    # Of the evaluator's hits, those that the judge refuses; None: no hit.
    false_positive_share: float | None
    # Of the images that the judge takes for the person, those that the evaluator misses; None: no
    # such image.
    false_negative_share: float | None


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """A mean over the images that were found; None: there are none."""

    attacked: float | None  # with the person whom an image is to show
    others: float | None  # with every other private person, averaged


@dataclass(frozen=True, kw_only=True)
class VerifierScores:
    """What a verifier says of images of known people; one that was not found is refused."""

    threshold: float  # L2 between embeddings; a nearer image is accepted
    accepted: float  # share that it takes for the person
    aa1: float  # share to which the person's template is the nearest
    distance: float | None  # mean to the person's template; None: no image
    # Mean squared L2 of unit embeddings to the person's nearest private training image, in [0, 4];
    # FaceNet's is PPA's "FaceNet distance". None: no image, or the file is older.
    nearest_image: float | None = None


@dataclass(frozen=True, kw_only=True)
class GroupScores:
    """How near images are to a person in some of the parameters."""

    distance: Likeness  # in deviations between people
    farther: float | None  # share of other people who are farther than the person; chance: 0.5


@dataclass(frozen=True, kw_only=True)
class IdentityScores:
    """Who images show by the parameters that are read off them, and what of a person they show."""

    aa1: float  # share to which the person is the nearest; one that was not found has none
    distance: Likeness  # in deviations between people, parameters weighted by their precision
    farther: float | None  # share of other people who are farther than the person; chance: 0.5
    attributes: dict[str, Likeness]  # CelebA's yes/no ones: share with the person's mark
    groups: dict[str, GroupScores]


@dataclass(frozen=True, kw_only=True)
class RefusedReal:
    """How severe a judge is: what it says of real test images that the evaluator recognises."""

    n_recognised: int
    refused_of_recognised: float | None  # share that the judge refuses; None: there is none


@dataclass(frozen=True, kw_only=True)
class JudgedScores:
    """What judges beside the evaluator say of an attack's images.

    All judges agree on an image where the evaluator puts the attacked person first, the verifier
    accepts the image as the person's, and no private person is nearer by the parameters. A judge
    that the row does not name is not asked. A second evaluator, of the evaluator's own kind, has no
    voice there, nor has a reader of looks.
    """

    agree: float | None  # share of images on which all judges agree; None: none has a voice
    n_agree: int | None
    verifier: VerifierScores | None  # None: the row names none
    identity: IdentityScores | None  # likewise
    second_aa1: float | None  # AA-1 by another evaluator; None: the row names none
    disagreement: dict[str, Disagreement]  # by judge: verifier, identity, second_evaluator
    # By judge with a voice; the floor of its `false_positive_share`. Empty: the file is older.
    ceiling: dict[str, RefusedReal] = field(default_factory=dict)
    # Share of a person's real test images on which all judges agree, over people: what `agree`
    # would be if an attack gave back photographs. None: no judge has a voice, or the file is older.
    agree_on_real: float | None = None


@dataclass(frozen=True, kw_only=True)
class VerifierQuality:
    """How far a verifier can be believed: what it says of real private images.

    Everybody counts once, however many images there are. Templates are of training images. The
    threshold is set on images of one split and measured on the test images, unless there is no
    other split than these.
    """

    threshold: float
    threshold_split: str  # val, or test
    false_accepts: float  # share of pairs of a person's test image and another person
    n_impostors: int
    true_accepts: float  # share of a person's test images
    aa1: float
    blanks_accepted: float  # share of pairs of an image of nobody and a person
    n_blanks: int
    # As `VerifierScores.nearest_image`, of real test images; None: the file is older.
    nearest_image: float | None = None
