"""The phases of the study of real people: what is trained, searched and scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.clock import Clock
from gpu.faces import Faces
from gpu.lanes import Room
from gpu.paces import steps_within, train_within
from gpu.results import RESULTS, Book, Row, row
from trapmid import types, wiring
from trapmid.artifacts import priors
from trapmid.config import params
from trapmid.config.study import ClassifierTraining, Inversion
from trapmid.metrics import accuracy, features
from trapmid.metrics.statistics.intervals import of_rate
from trapmid.runtime import Runtime, choose_precision
from trapmid.search.inversion import invert_all
from trapmid.training.classifier import Splits
from trapmid.training.fit import Labelled
from trapmid.training.objectives import Classify
from trapmid.training.signatures import auxiliary_signatures
from trapmid.types import Loss, Prior, Progress, SideInformation, Target


class Sizes(NamedTuple):
    """What a few minutes change of the profile."""

    target: str
    evaluator: str
    epochs: int  # at most
    batch: int  # of classifiers
    width: int  # of PLG-MI's networks
    steps: int  # at most, of a prior or a search
    seldom: int  # who of the public people has fewer images is no class of the evaluator's start
    images: int  # reconstructed of each person


QUICK = Sizes("vgg16", "facenet64", 80, 128, 32, 6000, 3, 5)
TOY = Sizes("small_vgg", "small_ir", 2, 16, 8, 3, 2, 2)

VAE = {"lr": 0.001, "weight": 0.02, "sigma": 0.2, "width": 48}
PRIORS: dict[str, dict[str, Any]] = {
    "gmi": {"critic_steps": 2},
    "plgmi": {"critic_steps": 1, "lr_generator": 0.0001, "lr_critic": 0.0004},
}
GUIDED = {"lr_generator": 0.00005}
PLUS = {"adaptive": {"trapdoor_weight": 0.0, "auxiliary_weight": 100.0}}
ALONE = 0.65  # of a public prior's seconds: the autoencoder without the critic


@dataclass(frozen=True, kw_only=True)
class Distil(types.Defense):
    """No defence: labels are numbers of images, of which the embeddings (N, D) are learnt."""

    embeddings: Tensor
    augmentation: Any

    def objective(self, setting: types.Setting) -> types.Objective:
        return _Match(self, setting.rt)


class _Match(Classify):
    """The squared distance of the logits to the standardised embeddings of the images."""

    def __init__(self, distil: Distil, rt: Runtime) -> None:
        super().__init__(rt, augmentation=distil.augmentation)
        values = distil.embeddings.to(rt.device)
        self._wanted = (values - values.mean(dim=0)) / values.std(dim=0).clamp(min=1e-6)

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        assert self._augmentation is not None
        with self._rt.autocast():
            found = model(self._augmentation(images)).logits.float()
        return Loss(F.mse_loss(found, self._wanted[labels]), {})


@dataclass(frozen=True)
class Subjects:
    """One lane's view of the study."""

    book: Book
    room: Room
    study: dict[str, Any]  # the blocks of celeba_mid
    faces: Faces

    @property
    def sizes(self) -> Sizes:
        return TOY if self.book.toy else QUICK

    def runtime(self, precision: str = "fp32") -> Runtime:
        chosen = choose_precision(precision, self.book.device)
        return Runtime(device=self.book.device, seed=0, precision=chosen)

    # --- classifiers ---

    def trunk(self, seconds: float) -> Iterator[Row]:
        """The targets' start: the target's network learns the embeddings of the public images."""
        public, wanted = self.faces.public, self.faces.embeddings
        defense = Distil(embeddings=wanted, augmentation=self._control().augmentation)
        numbered = Labelled(public, torch.arange(len(public)))
        splits = self._splits(numbered, Labelled(public[:8], torch.zeros(8, dtype=torch.int64)))
        block = {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0, "batch_size": 256}
        plan = self._plan("target", block)
        network = wiring.target(self.sizes.target)
        trained, kept = train_within(
            seconds,
            defense,
            lambda outputs: network(outputs, self.faces.size),
            splits._replace(num_classes=wanted.shape[1]),
            plan,
            self.runtime("auto"),
        )
        self._keep("trunk", trained.model)
        yield row("epochs", kept.epochs, "", images=len(public), batch_size=kept.batch_size)

    def strangers(self, seconds: float) -> Iterator[Row]:
        """The evaluator's start: it learns to tell public people apart."""
        names, counts = self.faces.people.unique(return_counts=True)
        frequent = names[counts >= self.sizes.seldom]
        chosen = torch.isin(self.faces.people, frequent)
        labels = torch.searchsorted(frequent, self.faces.people[chosen])
        known = Labelled(self.faces.public[chosen], labels)
        splits = self._splits(known, Labelled(known.images[:8], labels[:8]))
        yield from self._classifier("strangers", self.sizes.evaluator, "", splits, seconds)

    def evaluator(self, seconds: float) -> Iterator[Row]:
        yield from self._classifier(
            "evaluator", self.sizes.evaluator, "strangers", self._private(), seconds
        )

    def target(self, name: str, seconds: float) -> Iterator[Row]:
        yield from self._classifier(name, self.sizes.target, "trunk", self._private(), seconds)

    def _classifier(
        self, name: str, arch: str, start: str, splits: Splits, seconds: float
    ) -> Iterator[Row]:
        evaluator = arch == self.sizes.evaluator
        rows = self.study["evaluators" if evaluator else "targets"]
        known = rows["evaluator" if evaluator else f"{name}-0"]
        defense = wiring.defense(known["method"], self.study[known["block"]], known["block"])
        first = self.room.load(start)["state"] if start else None

        def network(outputs: int) -> Target:
            made = wiring.target(arch)(outputs, self.faces.size)
            # Trap-MID's discriminator, of one output, begins at random: it learns no faces
            if first is not None and outputs == splits.num_classes:
                made.start_from(first)
            return made

        plan = self._plan("evaluator" if evaluator else "target", {})
        rt = self.runtime("auto")
        trained, kept = train_within(seconds, defense, network, splits, plan, rt)
        self._keep(name, trained.model)
        yield row("epochs", kept.epochs, "", images=len(splits.train), batch_size=kept.batch_size)
        if start:
            yield from self._tested(trained.model, splits.test, rt)
        if trained.fitted.trapdoor_success is not None:
            yield row("trapdoor success", trained.fitted.trapdoor_success, "share")

    def _tested(self, model: Target, test: Labelled, rt: Runtime) -> Iterator[Row]:
        logits = features.describe(model, test.images, batch_size=256, rt=rt).logits
        yield rate("test accuracy", accuracy.hits(logits, test.labels), test.labels)

    def _private(self) -> Splits:
        faces = self.faces
        train = Labelled(faces.train_images, faces.train_labels)
        return self._splits(train, Labelled(faces.test_images, faces.test_labels))

    def _splits(self, train: Labelled, test: Labelled) -> Splits:
        empty = Labelled(test.images[:0], test.labels[:0])
        return Splits(train, empty, test, int(train.labels.max()) + 1)

    def _plan(self, name: str, changes: dict[str, Any]) -> ClassifierTraining:
        block = self.study["classifier_training"][name]
        few = {"epochs": self.sizes.epochs, "batch_size": self.sizes.batch, "milestones": []}
        changed = block | few | changes | {"select": "last"}
        if self.book.toy:
            changed["batch_size"] = self.sizes.batch
        return params.build(ClassifierTraining, changed, f"classifier_training.{name}")

    def _control(self) -> Any:
        return wiring.defense("none", self.study["none_aug"], "none_aug")

    def _keep(self, name: str, module: torch.nn.Module) -> None:
        self.room.save(name, {"state": module.state_dict()})

    # --- priors ---

    def public_gmi(self, seconds: float) -> Iterator[Row]:
        yield from self._public("gmi-prior", "gmi", seconds)

    def public_plgmi(self, seconds: float) -> Iterator[Row]:
        """The guided priors' start: all public images are one class."""
        yield from self._public("plgmi-start", "plgmi", seconds)

    def _public(self, name: str, method: str, seconds: float) -> Iterator[Row]:
        """Autoencoder alone, then with the critic; each for its share of the seconds."""
        rt = self.runtime(self.study["prior_training"][method]["precision"])

        def fit(alone: int, steps: int, clock: types.Checkpointer) -> Prior:
            block = self._prior_block(method, {"vae_gan": {**VAE, "alone": alone}, "steps": steps})
            training = wiring.prior_training(method, block)
            prior = priors.start(training, self.faces.size, 1, _RANDOM, rt)
            training.fit(prior, self.faces.public, None, types.NOTHING, rt, clock)
            return prior

        def timed(alone: bool, steps: int) -> float:
            clock = Clock(rt.device, 0)
            fit(steps if alone else 0, steps, clock)
            return clock.seconds

        most = self.sizes.steps
        alone = steps_within(ALONE * seconds, lambda steps: timed(True, steps), most)
        more = steps_within((1 - ALONE) * seconds, lambda steps: timed(False, steps), most)
        prior = fit(alone, alone + more, types.InMemory())
        self._keep(name, prior)
        yield row("steps", alone + more, "", alone=alone)

    def guided(self, attack: str, target: str, seconds: float) -> Iterator[Row]:
        """PLG-MI's prior of one target, or PLG-MI+'s."""
        rt = self.runtime(self.study["prior_training"]["plgmi"]["precision"])
        model, known = self._classified(target, rt), self._known(attack, target, rt)
        changes = GUIDED | (PLUS if attack == "plus" else {})
        start = self.room.file("plgmi-start")

        def fit(steps: int, clock: types.Checkpointer) -> Prior:
            block = self._prior_block("plgmi", changes | {"steps": steps})
            training = wiring.prior_training("plgmi", block)
            prior = priors.start(training, self.faces.size, self.faces.classes, start, rt)
            training.fit(prior, self.faces.public, model, known, rt, clock)
            return prior

        def timed(steps: int) -> float:
            clock = Clock(rt.device, 0)
            fit(steps, clock)
            return clock.seconds

        steps = steps_within(seconds, timed, self.sizes.steps, (3, 9))
        prior = fit(steps, types.InMemory())
        self._keep(f"{attack}-prior-{target}", prior)
        yield row("steps", steps, "", width=self.sizes.width)

    def _prior_block(self, method: str, changes: dict[str, Any]) -> dict[str, Any]:
        few: dict[str, Any] = {"width": self.sizes.width} if method == "plgmi" else {}
        if self.book.toy:
            few |= {"batch_size": self.sizes.batch, "width": self.sizes.width}
            few |= {"top_n": 8} if method == "plgmi" else {}
        block: dict[str, Any] = self.study["prior_training"][method]
        return block | PRIORS[method] | few | changes

    # --- attacks ---

    def attack(self, name: str, target: str, seconds: float) -> Iterator[Row]:
        """GMI, PLG-MI or PLG-MI+; the images are kept as 8-bit files would have them."""
        rt = self.runtime()
        model, known = self._classified(target, rt), self._known(name, target, rt)
        method = "gmi" if name == "gmi" else "plgmi"
        prior = self._prior(name, target, rt)
        block = self.study["attacks"][method] | (PLUS if name == "plus" else {})
        plan = Inversion(
            images_per_class=self.sizes.images, batch_size=None, keep_every=self.sizes.steps
        )

        def search(steps: int) -> Any:
            attack = wiring.attack(method, block | {"steps": steps})
            return invert_all(attack, model, prior, known, plan, rt, types.InMemory())

        def timed(steps: int) -> float:
            clock = Clock(rt.device, 0)
            search(steps)
            return clock.elapsed()

        steps = steps_within(seconds, timed, min(block["steps"], self.sizes.steps), (1, 3))
        found = search(steps)
        images = features.as_bytes(found.rows["images"])
        content = {"images": images, "labels": found.rows["labels"], "draws": found.rows["draws"]}
        self._send(f"{name}-{target}", content | {"attack": name, "target": target, **self._where})
        yield row("steps", steps, "", rows_at_once=found.batch_size)
        logits = features.describe(model, images, batch_size=256, rt=rt).logits
        labels = found.rows["labels"]
        yield rate("target agreement", accuracy.hits(logits, labels), labels)

    def score(self, name: str, target: str, seconds: float) -> Iterator[Row]:
        """What the evaluator says of an attack's images."""
        del seconds
        rt, attack = self.runtime(), f"{name}-{target}"
        content = self.room.load(attack)
        model = self._classified("evaluator", rt)
        logits = features.describe(model, content["images"], batch_size=256, rt=rt).logits
        for k in (1, 5):
            hit = accuracy.hits(logits, content["labels"], k)
            yield rate(f"AA-{k}", hit, content["labels"], evaluator=self.sizes.evaluator)
        self.room.save(f"{attack}-scores", {})

    @property
    def _where(self) -> dict[str, Any]:
        from gpu.results import device_name

        return {"device": device_name(self.book.device), "torch": str(torch.__version__)}

    def _send(self, name: str, content: dict[str, Any]) -> None:
        """Keeps reconstructions here, and beside the results unless these are in the checkout."""
        self.room.save(name, content)
        if self.book.out != RESULTS:
            file: Path = self.book.out / f"{name}.pt"
            torch.save(content, file)

    def _classified(self, name: str, rt: Runtime) -> Target:
        arch = self.sizes.evaluator if name == "evaluator" else self.sizes.target
        model = wiring.target(arch)(self.faces.classes, self.faces.size)
        model.load_state_dict(self.room.load(name)["state"])
        return rt.place(model).eval().requires_grad_(False)

    def _prior(self, name: str, target: str, rt: Runtime) -> Prior:
        method = "gmi" if name == "gmi" else "plgmi"
        file = "gmi-prior" if name == "gmi" else f"{name}-prior-{target}"
        training = wiring.prior_training(method, self._prior_block(method, {}))
        prior = training.make(self.faces.size, self.faces.classes)
        prior.load_state_dict(self.room.load(file)["state"])
        return rt.place(prior).eval().requires_grad_(False)

    def _known(self, name: str, target: str, rt: Runtime) -> SideInformation:
        """PLG-MI+ knows the features of the public images that are likeliest for each class."""
        if name != "plus":
            return types.NOTHING
        top = self._prior_block("plgmi", {})["top_n"]
        found = auxiliary_signatures(self._classified(target, rt), self.faces.public, top, rt)
        return SideInformation(auxiliary=found.to(rt.device))


_RANDOM = RESULTS.parents[1] / "weights/random"


def rate(name: str, hit: Tensor, labels: Tensor, **more: Any) -> Row:
    """A share of images with its 95 % interval over people."""
    within = of_rate(hit, labels)
    return row(
        name, accuracy.rate(hit), "share", low=within.low, high=within.high, people=within.n, **more
    )
