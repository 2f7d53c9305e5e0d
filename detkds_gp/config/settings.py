"""The parts of an experiment's config: detectors, data, final round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from detkds_gp.fitness import TeacherTraining
from detkds_gp.settings import Settings

if TYPE_CHECKING:
    from detkds_gp.detectors import DetectorSpec


class DetectorSettings(Settings):
    """A detector.

    Attributes:
        config: path of an mmdet config, or ``mmdet::retinanet/...``.
        overrides: dotted keys merged into it, such as ``{"model.backbone.depth": 18}``.
        checkpoint: its weights.
    """

    config: str
    overrides: dict[str, Any] = Field(default_factory=dict)
    checkpoint: str | None = None

    def spec(self) -> DetectorSpec:
        """Return what builds the detector."""
        from detkds_gp.detectors import DetectorSpec

        return DetectorSpec(self.config, self.overrides, self.checkpoint)


class TeacherSettings(DetectorSettings):
    """The teacher: with a checkpoint, or trained once by the tool.

    Attributes:
        classes: names in the order of its labels, where its checkpoint does not name them and they are not the
            data's. Classes are matched by name.
        train: how a teacher without a checkpoint is trained.
    """

    classes: tuple[str, ...] | None = None
    train: TeacherTraining = TeacherTraining()

    @model_validator(mode="after")
    def _named(self) -> TeacherSettings:
        if self.classes is not None and self.checkpoint is None:
            raise ValueError(
                "teacher.classes is given without teacher.checkpoint; a teacher trained here has the data's"
            )
        return self


class SplitSettings(Settings):
    """A split in COCO format.

    Attributes:
        ann_file: its annotations.
        images: the folder that the file's image names start from.
        part: from which to which share of its images is taken, always the same ones (see `detkds_gp.data.split`).
    """

    ann_file: str
    images: str
    part: tuple[float, float] = (0.0, 1.0)

    @field_validator("part")
    @classmethod
    def _a_part(cls, part: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= part[0] < part[1] <= 1:
            raise ValueError(f"got the part {part}, wanted two shares of the images, 0 <= low < high <= 1")
        return part


class DigitsSettings(Settings):
    """Digit scenes, generated where they are missing (see `detkds_gp.data.digits`)."""

    root: str
    train: int = 240
    selection: int = 100
    test: int = 150
    size: int = 128
    digits: tuple[int, ...] = tuple(range(10))
    seed: int = 0


class DataSettings(Settings):
    """The three splits: to train, to select (the fitness), and to report.

    Attributes:
        root: folder that the splits' relative paths start from.
        train: what students learn from.
        selection: what the search maximises AP on.
        test: only reported; never seen by the search.
        classes: names in the order of the labels; None takes the training file's.
        digits: generate digit scenes; the splits are then theirs.
    """

    root: str = ""
    train: SplitSettings | None = None
    selection: SplitSettings | None = None
    test: SplitSettings | None = None
    classes: tuple[str, ...] | None = None
    digits: DigitsSettings | None = None

    @model_validator(mode="after")
    def _complete(self) -> DataSettings:
        missing = [name for name in ("train", "selection", "test") if getattr(self, name) is None]
        if self.digits is None and missing:
            raise ValueError(f"data.{missing[0]} is missing, wanted dict(ann_file=..., images=...)")
        return self

    def splits(self) -> dict[str, SplitSettings]:
        """Return the three splits by name, with their paths from the working directory."""
        root, given = Path(self.root), {name: getattr(self, name) for name in ("train", "selection", "test")}
        if self.digits is not None:
            root = Path(self.digits.root)
            given = {name: SplitSettings(ann_file=f"{name}.json", images="images") for name in given}
        return {
            name: split.model_copy(update={"ann_file": str(root / split.ann_file), "images": str(root / split.images)})
            for name, split in given.items()
        }


class VerdictSettings(Settings):
    """The final round, as it is wished for: `detkds_gp.final_round` fits it into its share.

    Attributes:
        seeds: seeds that the search never used; everyone judged is trained on each.
        iterations: training steps; None takes twice the proxy's.
        finalists: the best formulas of the search that are judged, besides the best of every knowledge.
        rivals: what is judged beside them, by the name it is shown under: a distiller of the zoo, a formula, or
            ``zoo`` for the whole zoo, each under its own name; those that the pair or the primitive set does not
            know are left out.
        tuning: trainings by which each rival's weight is tuned, from which the final round takes its best; None: as
            many as a knowledge gets in the search, 12 at most; below 3 rivals are judged as they came only.
        share: the most of all training that the final round may take; of what a budget has left after preparation,
            together with the tuning of rivals.
    """

    seeds: tuple[int, ...] = (1001, 1002, 1003, 1004)
    iterations: int | None = Field(None, ge=1)
    finalists: int = Field(2, ge=1)
    rivals: dict[str, str] = Field(
        {"PKD": "pkd", "MGD": "mgd", "CWD": "cwd", "logits": "binary_kl(units(class_logits, 1))"}
    )
    tuning: int | None = Field(None, ge=0)
    share: float = Field(0.4, gt=0, lt=1)

    @model_validator(mode="after")
    def _enough(self) -> VerdictSettings:
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"verdict.seeds are {list(self.seeds)}, wanted 2 or more, all different, for an interval")
        return self
