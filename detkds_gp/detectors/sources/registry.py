"""The table of all sources of knowledge: those that come with detkds_gp, and those that users register."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module

from mmdet.models.detectors.base import BaseDetector

from detkds_gp.errors import DeclarationError

from ..parts import AbsentError, module_at
from . import cross_head, dense_head, encoder, instance_masks, mask_head, neck, predictions, query_head, roi_head, rpn
from ._base import Call, Reader, Side, Source, tensors_in
from ._matching import share_maps
from ._shared import Outputs, Shared

SHIPPED = (
    neck.SOURCE,
    dense_head.SOURCE,
    rpn.SOURCE,
    query_head.SOURCE,
    encoder.SOURCE,
    roi_head.SOURCE,
    instance_masks.SOURCE,
    mask_head.SOURCE,
    cross_head.SOURCE,
    predictions.SOURCE,
)
_registered: dict[str, Source] = {}


def register_source(source: Source) -> Source:
    """Add a source of one's own to those that detectors are read for; a module that is imported again renews its own.

    Call it in the module that declares the primitive set, or in one that this imports: worker processes import it
    before they build a detector.

    Raises:
        DeclarationError: its module is not named or not imported, or another source has its name or one of its outputs.
    """
    if source.module not in sys.modules:
        raise DeclarationError(f"source {source.name!r}: module is {source.module!r}, wanted module=__name__")
    for other in sources():
        if other.name == source.name and other.module == source.module:
            continue
        taken = [f"name {source.name!r}"] if other.name == source.name else []
        taken += [f"output {name!r}" for name in source.outputs if name in other.outputs]
        if taken:
            raise DeclarationError(f"the source {other.name!r} has the {taken[0]} already; choose another")
    _registered[source.name] = source
    return source


def sources() -> tuple[Source, ...]:
    """Return all sources in the order of the table."""
    return (*SHIPPED, *_registered.values())


def registering_modules() -> tuple[str, ...]:
    """Return the modules that register sources of their own, for another process to import."""
    return tuple(dict.fromkeys(source.module for source in _registered.values()))


def import_sources(modules: Sequence[str]) -> None:
    """Import modules that register sources."""
    for module in modules:
        import_module(module)


def module_source(path: str) -> Source:
    """Return the source that is a module: every tensor that it returns in a step, called by its path."""

    def read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
        tensors = [tensor for call in calls[0] for tensor in tensors_in(call.output)]
        if not tensors:
            raise AbsentError(f"module {path!r} gives no tensors, or does not run")
        return {path: [tensor.float() for tensor in tensors]}

    reader = Reader((path,), lambda detector: [module_at(detector, path)], read, once=False)
    return Source(path, (reader,), {path: partial(share_maps, name=path)})


def _readers() -> Iterator[Reader]:
    return (reader for source in sources() for reader in source.readers)


def output_names() -> tuple[str, ...]:
    """Return the names of all outputs but those of modules by their paths."""
    return tuple(name for reader in _readers() for name in reader.outputs)


def readers_of(outputs: Iterable[str]) -> list[Reader]:
    """Return the readers of some outputs, each once; a name that none has is a module's path."""
    readers = {name: reader for reader in _readers() for name in reader.outputs}
    found = {name: readers.get(name) or module_source(name).readers[0] for name in outputs}
    return list({reader.outputs: reader for reader in found.values()}.values())


def cut_outputs(outputs: Outputs, images: Sequence[int], count: int) -> Outputs:
    """Return the outputs on some images of a batch, by index, as if these alone were the batch.

    Args:
        outputs: without gradient.
        images: in their new order, some perhaps twice.
        count: images of the batch.
    """
    made: Outputs = {}
    for reader in readers_of(outputs):
        made.update(reader.cut({name: outputs[name] for name in reader.outputs if name in outputs}, images, count))
    return {name: made[name] for name in outputs}


def fixed_outputs(outputs: Iterable[str]) -> set[str]:
    """Return those of some outputs that carry no gradient, such as regions."""
    return {name for reader in readers_of(outputs) for name in reader.fixed}


def knowledge_names() -> tuple[str, ...]:
    """Return the names of all knowledge but that of modules by their paths."""
    return tuple(dict.fromkeys(name for source in sources() for name in source.knowledge))


def share(name: str, student: Side, teacher: Side) -> Shared:
    """Say how two detectors share a knowledge; a name that no source offers is a module's path.

    Raises:
        AbsentError: they do not share it; says why.
    """
    offering = [source for source in sources() if name in source.knowledge] or [module_source(name)]
    return _common(offering, student, teacher).knowledge[name](student, teacher)


def _common(offering: Sequence[Source], student: Side, teacher: Side) -> Source:
    """Return the first source that both have, or one of them has, or whose modules are there; else the last.

    Raises:
        AbsentError: each has another one.
    """
    ours, theirs = ([source for source in offering if source.is_in(side)] for side in (student, teacher))
    both = [source for source in ours if source in theirs]
    if ours and theirs and not both:
        first, second = (found[0].called or found[0].name for found in (ours, theirs))
        raise AbsentError(f"the student has {first}, the teacher {second}")
    there = [source for source in offering if {*source.outputs[:1]} & (student.tapped | teacher.tapped)]
    return (both or ours or theirs or there or list(offering)[-1:])[0]
