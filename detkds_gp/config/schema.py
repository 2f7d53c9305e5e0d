"""The config of an experiment: its parts, what they must agree on, and how it is read from a file.

primitive_set = "detkds_gp.primitives:DETKDS"
student = dict(config="mmdet::retinanet/retinanet_r18_fpn_1x_coco.py")
teacher = dict(config="mmdet::retinanet/retinanet_r50_fpn_1x_coco.py", checkpoint="teacher.pth")
data = dict(train=dict(ann_file="train.json", images="images"), selection=..., test=...)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from detkds_gp.config.settings import DataSettings, DetectorSettings, TeacherSettings, VerdictSettings
from detkds_gp.errors import ConfigError, nearest
from detkds_gp.execution import ExecutionSettings
from detkds_gp.fitness import ProxySettings
from detkds_gp.screening import ScreeningSettings
from detkds_gp.search import SearchSettings
from detkds_gp.settings import Settings
from detkds_gp.training import FullTrainingSettings


class ExperimentConfig(Settings):
    """Everything an experiment depends on.

    Attributes:
        primitive_set: ``module:NAME`` of the grammar.
        zoo: ``module:NAME`` of the published distillers.
        knowledge: niches to search; None takes all that the set has and the pair shares.
        student: what is trained.
        teacher: what it learns from.
        data: the splits.
        proxy: the short training that scores a candidate.
        screening: what is asked of a formula before it is trained.
        search: the evolution.
        verdict: the final comparison.
        full_training: what ``gp_search train`` changes of the student's own config.
        baseline_seeds: students without distillation that show the noise on the selection split; the first is
            the seed of the search's trainings.
        anchors: formulas that are trained before the search, to show how much of a score is luck: rivals of the
            verdict on three of these seeds, and the first of them, on one, at a weight that ruins it; 0 trains none.
        execution: where it runs.
        budget: what it may spend: ``200`` evaluations, ``8h``, ``12gpuh``; None for all that is planned.
        threads: CPU threads of every training; another count changes the last digits.
        seed: of the search.
        cache_dir: where a trained teacher, the heads of image files and normal annotation files are kept.
        init_student_from_teacher: students start with the teacher's neck and head where shapes agree.
        require_better_teacher: stop if the teacher's AP is not above the student's.
    """

    primitive_set: str = "detkds_gp.primitives:DETKDS"
    zoo: str = "detkds_gp.primitives.zoo:ZOO"
    knowledge: tuple[str, ...] | None = None
    student: DetectorSettings
    teacher: TeacherSettings
    data: DataSettings
    proxy: ProxySettings = ProxySettings()
    screening: ScreeningSettings = ScreeningSettings()
    search: SearchSettings = SearchSettings()
    verdict: VerdictSettings = VerdictSettings()
    full_training: FullTrainingSettings = FullTrainingSettings()
    baseline_seeds: tuple[int, ...] = Field((0, 1, 2), min_length=3)
    anchors: int = Field(3, ge=0)
    execution: ExecutionSettings = Field(default_factory=ExecutionSettings)
    budget: str | None = None
    threads: int = Field(1, ge=1)
    seed: int = 0
    cache_dir: str = "work_dirs/cache"
    init_student_from_teacher: bool = False
    require_better_teacher: bool = True

    @model_validator(mode="after")
    def _seeds_apart(self) -> ExperimentConfig:
        if len(set(self.baseline_seeds)) < len(self.baseline_seeds):
            raise ValueError(f"baseline_seeds are {list(self.baseline_seeds)}, wanted all different")
        shared = sorted(set(self.baseline_seeds) & set(self.verdict.seeds))
        if shared:
            raise ValueError(
                f"verdict.seeds and baseline_seeds share {shared[0]}; the verdict's seeds are for it alone"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """Return what a work directory is bound to, in JSON values: what changes a result.

        Where it runs and where files lie does not; the files themselves are compared by their content.
        """
        elsewhere = {"execution", "budget", "cache_dir", "require_better_teacher", "data", "full_training", "anchors"}
        parts: dict[str, Any] = {
            "student": {"checkpoint"},
            "teacher": {"checkpoint"},
            "proxy": {"memory_limit_mb", "teacher_memory_mb"},
        }
        return self.model_dump(mode="json", exclude=parts | dict.fromkeys(elsewhere, True))


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> ExperimentConfig:
    """Read a config file.

    Args:
        path: a Python, json or yaml file.
        options: dotted keys that replace its values, as ``--cfg-options`` gives them.

    Raises:
        ConfigError: if the file is missing or broken, a key unknown or a value of the wrong type.
    """
    if not os.path.isfile(path):
        shipped = Path(__file__).parents[2] / "configs"
        raise ConfigError(
            f"no config file {path}; give a path such as configs/quickstart.py (shipped ones are in {shipped})"
        )
    from mmengine.config import Config

    try:
        config = Config.fromfile(path)
        config.merge_from_dict(dict(options or {}))
        values = config.to_dict()
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise ConfigError(f"cannot read {path}: {type(error).__name__}: {lines[-1] if lines else ''}") from error
    return parse_config(values, str(path))


def parse_config(values: Mapping[str, Any], where: str = "config") -> ExperimentConfig:
    """Check plain values against the schema.

    Raises:
        ConfigError: naming the first offending key, what is wrong and what is known.
    """
    try:
        return ExperimentConfig.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_in_words(error)}") from None


def _in_words(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path) or "the config"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{nearest(path[-1], _known_keys(path[:-1]))}"
    if first["type"] == "missing":
        return f"key {key!r} is missing"
    message = first["msg"].removeprefix("Value error, ")
    return message if first["type"] == "value_error" else f"{key} is {first['input']!r:.80}: {message}"


def _known_keys(path: list[str]) -> list[str]:
    model: type[Settings] = ExperimentConfig
    for part in path:
        annotation = model.model_fields[part].annotation
        choices = (annotation, *getattr(annotation, "__args__", ()))
        model = next(a for a in choices if isinstance(a, type) and issubclass(a, Settings))
    return list(model.model_fields)
