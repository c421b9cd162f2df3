"""Train the Keras network and a PyTorch network from the same weights on the same clips; compare losses and accuracies.

"Ours" is the Keras network.
"""

import dataclasses
import importlib.metadata
import importlib.util
import io
import json
import pathlib
import platform
import statistics
import sys
import typing
from collections.abc import Sequence

import numpy as np
import tqdm

from .. import config
from ..errors import InputError
from ..files.atomic import atomic, write_text
from ..machine import core_count, cpu_name
from ..runtime import import_tensorflow
from ..training.repeats import estimate
from ..training.workdir import check_workdir
from . import peer

if typing.TYPE_CHECKING:
    import keras
    import tensorflow as tf
    import torch

    from ..data import Clips

OURS, TORCH = "Keras", "PyTorch"
FOLLOWER = f"{TORCH} with the weights of {OURS}"
TOLERANCE = 1e-3  # difference of the loss that counts as equal, in the first steps

# Options that the PyTorch recipe does not have: each must have its default value.
DEFAULTS = config.Train(epochs=1, batch_size=1, learning_rate=0)
WITHOUT = (
    "multigrid",
    "gradient_accumulation",
    "ema_decay",
    "precise_batchnorm",
    "class_weights",
    "precision",
    "synchronize_batchnorm",
    "freeze",
)


@dataclasses.dataclass
class Results:
    """The results so far, as stored in the JSON file.

    Attributes:
        losses: training loss of each of the first steps, by network.
        top1: top-1 on the validation videos of the training with each seed, by network and seed.
    """

    losses: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    top1: dict[str, dict[str, float]] = dataclasses.field(default_factory=lambda: {OURS: {}, TORCH: {}})

    def differences(self) -> list[float]:
        """Return our top-1 minus PyTorch's for each seed that both have, in percentage points."""
        ours, others = self.top1[OURS], self.top1[TORCH]
        return [100 * (ours[seed] - others[seed]) for seed in ours if seed in others]


def load(name: str, overrides: Sequence[str], seed: int | None = None) -> config.Config:
    """Return the configuration of a training that both frameworks support. Both keep the last epoch.

    Args:
        name: a configuration: a path, or the name of a shipped configuration.
        overrides: changes of the configuration, "KEY=VALUE".
        seed: seed in place of the configuration's; None keeps the configuration's.

    Raises:
        InputError: if PyTorch is not installed, or if the configuration has options that the PyTorch network or its
            recipe does not support.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError("torch is not installed: pip install 'slowfast_tf[bench]'")
    seeds = [] if seed is None else [f"seed={seed}"]
    settings = config.load(name, [*overrides, "train.keep=last", "train.patience=null", *seeds])
    if reason := peer.unsupported(settings.spec()):
        raise InputError(reason)
    if settings.spec().activation != "softmax":
        raise InputError("the comparison is of top-1; give a configuration with model.activation softmax")
    if isinstance(settings.train.optimizer, dict):
        raise InputError('the PyTorch recipe has train.optimizer "sgd" and "adamw" only')
    for field in WITHOUT:
        default = getattr(DEFAULTS, field)
        if getattr(settings.train, field) != default:
            raise InputError(f"the PyTorch recipe has no train.{field}; set it to {json.dumps(default)}")
    return settings


class Trainer:
    """A PyTorch network in training: the recipe of a configuration, with PyTorch's own functions.

    Args:
        model: the `SlowFast` that gives the initial weights.
        settings: the configuration.
        clips: the training clips.
        threads: number of threads for PyTorch.
    """

    def __init__(self, model: "keras.Model", settings: config.Config, clips: "Clips", threads: int):
        import torch

        from ..training import schedules

        train = settings.train
        self.network, self.pathways = peer.build(model.spec), model.spec.pathways
        self.train, self.threads, self.steps = train, threads, 0
        peer.copy_to_torch(model, self.network)
        self.network.train()
        self.schedule = schedules.from_config(train, clips.phases, [clips.steps(phase) for phase in clips.phases])
        names = peer.our_names(self.network)
        groups = {True: [], False: []}
        for name, parameter in self.network.named_parameters():
            groups[not names[name].endswith(("/gamma", "/beta"))].append(parameter)
        options = [{"params": groups[True], "weight_decay": train.weight_decay}, {"params": groups[False]}]
        if train.optimizer == "adamw":
            betas = (train.momentum, 0.999)
            self.optimizer = torch.optim.AdamW(options, lr=0.0, betas=betas, weight_decay=0.0)
        else:
            nesterov = train.momentum > 0
            self.optimizer = torch.optim.SGD(options, lr=0.0, momentum=train.momentum, nesterov=nesterov)

    def loss(self, inputs: "dict[str, tf.Tensor]", labels: "tf.Tensor") -> "torch.Tensor":
        """Return the training loss of a batch of `Clips.train`."""
        import torch

        torch.set_num_threads(self.threads)
        clips = [torch.from_numpy(inputs[name].numpy()).movedim(-1, 1) for name in self.pathways]
        logits, targets = self.network(*clips), torch.from_numpy(labels.numpy())
        return torch.nn.functional.cross_entropy(logits, targets, label_smoothing=self.train.label_smoothing)

    def step(self, inputs: "dict[str, tf.Tensor]", labels: "tf.Tensor") -> float:
        """Train on a batch of `Clips.train` and return its loss."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = float(self.schedule(self.steps))
        self.steps += 1
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(inputs, labels)
        loss.backward()
        if self.train.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.train.clip_norm)
        self.optimizer.step()
        return loss.item()


def compare_losses(settings: config.Config, steps: int) -> dict[str, list[float]]:
    """Return the loss of each of the first steps, by network.

    The networks are ours, PyTorch's, PyTorch's with another number of threads, and PyTorch's with our weights, which
    are copied before each step. The second and third differ only in the order of float32 sums. All networks get the
    same batches. Dropout is off, because the frameworks draw different masks.
    """
    import keras

    from ..data import Clips
    from ..training.run import build

    model = settings.model.model_copy(update={"dropout": 0.0})
    settings = settings.model_copy(update={"model": model})
    clips = Clips(settings, "train")
    keras.utils.set_random_seed(settings.seed)
    ours = build(settings, clips)
    trainers = [(TORCH, core_count()), (again(), 2 if core_count() == 1 else 1)]
    others = {name: Trainer(ours, settings, clips, threads) for name, threads in trainers}
    follower = Trainer(ours, settings, clips, core_count())
    losses: dict[str, list[float]] = {name: [] for name in (OURS, *others, FOLLOWER)}
    batches = clips.train(range(settings.train.epochs)).take(steps)
    for inputs, labels in tqdm.tqdm(batches, desc="losses", unit="step", total=steps, disable=None):
        peer.copy_to_torch(ours, follower.network)
        losses[FOLLOWER].append(follower.loss(inputs, labels).item())
        ours.reset_metrics()  # in Keras 3 the metrics are means over all steps since the last reset
        losses[OURS].append(float(ours.train_on_batch(inputs, labels, return_dict=True)["loss"]))
        for name, other in others.items():
            losses[name].append(other.step(inputs, labels))
    return losses


def again() -> str:
    """Return the name in the results of the PyTorch network that trains with another number of threads."""
    return f"{TORCH}, {_threads(2 if core_count() == 1 else 1)}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def train_ours(settings: config.Config, workdir: pathlib.Path) -> float:
    """Train our network in a work directory, or resume its run, and return its top-1."""
    from ..training.run import train

    result = train(settings, workdir)
    assert result  # there is one worker
    return result.metrics["top1"]


def train_torch(settings: config.Config) -> float:
    """Train the PyTorch network, copy its weights into our network, and return our network's top-1."""
    import keras
    import torch

    from ..evaluation.run import evaluate
    from ..training.run import build, load_clips

    clips, validation = load_clips(settings, strict=False, quiet=True)
    keras.utils.set_random_seed(settings.seed)
    torch.manual_seed(settings.seed)  # for dropout
    model = build(settings, clips)
    trainer = Trainer(model, settings, clips, core_count())
    batches = clips.train(range(settings.train.epochs))
    total = settings.train.epochs * clips.steps(clips.phases[-1])
    with tqdm.tqdm(batches, desc=TORCH, unit="step", total=total, disable=None) as progress:
        for inputs, labels in progress:
            progress.set_postfix(loss=trainer.step(inputs, labels))
    peer.copy_from_torch(trainer.network, model)
    return evaluate(model, validation)[0]["top1"]


def measure(name: str, overrides: Sequence[str], steps: int, seeds: int, workdir: pathlib.Path) -> Results:
    """Compare losses, then the accuracies of full training runs. Results that are in `workdir` are not repeated.

    Args:
        name, overrides: as for `load`.
        steps: number of training steps whose loss is compared.
        seeds: number of training runs of each network; seeds count from 0.
        workdir: directory for `results.json`, written after each training, and for our unfinished runs.

    Raises:
        InputError: as `load`, or if `workdir` holds the results of another configuration.
    """
    settings = load(name, overrides)
    check_workdir(workdir, settings)
    settings.save(workdir / "config.json")
    path = workdir / "results.json"
    found = Results(**json.loads(path.read_text())) if path.exists() else Results()

    def save() -> None:
        write_text(path, json.dumps(dataclasses.asdict(found), indent=1) + "\n")

    import_tensorflow()
    import keras

    if any(len(found.losses.get(name, ())) != steps for name in (OURS, again(), FOLLOWER)):
        found.losses = compare_losses(settings, steps)
        save()
    for seed in range(seeds):
        one = load(name, overrides, seed)
        for network, accuracy in found.top1.items():
            if str(seed) not in accuracy:
                print(f"\n{network}, seed {seed} ({seed + 1} of {seeds})", file=sys.stderr)
                keras.backend.clear_session()
                place = workdir / f"seed{seed}"
                accuracy[str(seed)] = train_ours(one, place) if network == OURS else train_torch(one)
                save()
    return found


def largest(losses: Sequence[float], others: Sequence[float]) -> float:
    """Return the largest absolute difference between two loss curves."""
    return max(abs(a - b) for a, b in zip(losses, others))


def equal_steps(losses: Sequence[float], others: Sequence[float]) -> int:
    """Return the number of steps before two loss curves first differ by more than the tolerance.

    Example:
        >>> equal_steps([2.0, 1.5, 1.25], [2.0, 1.5, 1.5])
        2
    """
    return next((step for step, (a, b) in enumerate(zip(losses, others)) if abs(a - b) > TOLERANCE), len(losses))


def section(found: Results, name: str, overrides: Sequence[str], command: str) -> str:
    """Return a Markdown section: the recipe, the machine, and both comparisons.

    Args:
        found: the results.
        name, overrides: as for `load`.
        command: the command that writes the section.
    """
    settings = load(name, overrides)
    spec, train, steps = settings.spec(), settings.train, len(found.losses[OURS])
    threads = again().rpartition(", ")[2]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "keras", "torch"))
    rows = [
        (f"{OURS} and {FOLLOWER}", found.losses[OURS], found.losses[FOLLOWER]),
        (f"{OURS} and {TORCH}", found.losses[OURS], found.losses[TORCH]),
        (f"{TORCH} and itself with {threads}", found.losses[TORCH], found.losses[again()]),
    ]
    lines = [
        "## Learning",
        "",
        f"    {command}",
        "",
        f"`{name}`: depth {spec.depth}, width {spec.width}, {spec.frames}x{spec.stride}, crops of"
        f" {settings.data.crop_size}, batch {train.batch_size}, {train.optimizer}, float32. Our Keras network and a"
        " PyTorch network start from the same weights and take the same clips in the same order, by the same recipe."
        " The PyTorch network has PyTorch's own layers, loss and optimizer.",
        f"{_threads(core_count())}, {cpu_name()}; Python {platform.python_version()}, {versions}.",
        "",
        f"Training loss of the first {steps} steps, without dropout, because the frameworks draw different masks. In"
        f" the first row, {TORCH} takes the weights of {OURS} before each step. In the others, each network continues"
        " from its own weights. The last row is the effect of another order of float32 sums, which training amplifies.",
        "",
        f"| loss of | largest difference | steps until it is above {TOLERANCE:g} | mean loss of the last five steps |",
        "|---|---|---|---|",
    ]
    for title, one, other in rows:
        means = " and ".join(f"{statistics.mean(losses[-5:]):.4f}" for losses in (one, other))
        equal = equal_steps(one, other)
        until = equal if equal < steps else f"all {steps} below"
        lines.append(f"| {title} | {largest(one, other):.1e} | {until} | {means} |")
    differences = found.differences()
    return "\n".join([*lines, *(_accuracies(found, train.epochs) if differences else [])])


def _accuracies(found: Results, epochs: int) -> list[str]:
    differences = found.differences()
    lines = [
        "",
        f"Top-1 in % on the validation videos after {epochs} epochs, with dropout, the last epoch's weights, and the"
        " same views. The weights of PyTorch are scored in our network.",
        "",
        f"| seed | {OURS} | {TORCH} | difference |",
        "|---|---|---|---|",
    ]
    for seed, other in found.top1[TORCH].items():
        ours = found.top1[OURS][seed]
        lines.append(f"| {seed} | {100 * ours:.1f} | {100 * other:.1f} | {100 * (ours - other):+.1f} |")
    means = [100 * statistics.mean(accuracy.values()) for accuracy in found.top1.values()]
    lines.append(f"| mean | {means[0]:.1f} | {means[1]:.1f} | {statistics.mean(differences):+.1f} |")
    if len(differences) > 1:
        bounds = estimate(np.array([differences]))
        low, high = bounds.low or 0.0, bounds.high or 0.0
        verdict = "contains 0: no difference is found" if low <= 0 <= high else "does not contain 0"
        lines += [
            "",
            f"The 95% interval of the mean difference, paired by seed, is {low:+.1f} to {high:+.1f}; it {verdict}.",
        ]
    return lines


def write(output: pathlib.Path, found: Results) -> str:
    """Write the JSON file and the chart beside the page, and return the Markdown of the chart."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    losses, gap = figure.subplots(1, 2)
    steps = range(1, len(found.losses[OURS]) + 1)
    for name in (OURS, TORCH):
        losses.plot(steps, found.losses[name], label=name, linestyle="-" if name == OURS else "--")
    for name, other in ((OURS, FOLLOWER), (OURS, TORCH), (again(), TORCH)):
        values = [abs(a - b) for a, b in zip(found.losses[name], found.losses[other])]
        gap.plot(steps, values, label=f"{name} and {other}")
    gap.axhline(TOLERANCE, color="gray", linestyle=":", label="tolerance")
    gap.set_yscale("symlog", linthresh=1e-7)  # some differences are 0
    gap.set_ylim(bottom=0)
    for axis, title in ((losses, "training loss"), (gap, "difference of the loss")):
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))
    file = io.BytesIO()
    figure.savefig(file, dpi=120, metadata={"Software": None})
    picture = output.with_name(f"{output.stem}_learning.png")
    with atomic(picture) as temporary:
        temporary.write_bytes(file.getvalue())
    write_text(output.with_name(f"{output.stem}_learning.json"), json.dumps(dataclasses.asdict(found), indent=1) + "\n")
    return f"\n\n![Loss curves and their difference]({picture.name})"
