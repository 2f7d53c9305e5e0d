"""What a formula can start from: the knowledge of both detectors."""

from detkds_gp.language import Map, Rows, input


@input(Map, niche="global", latex=r"F")
def global_() -> None:
    """Feature map of every pyramid level.

    (N, C, H, W): the neck's output (the backbone's, where there is no neck), in the teacher's
    channels: where the student has another number of them, a 1x1 convolution trained with it leads
    there.
    """


@input(Rows, niche="class_logits", latex=r"z")
def class_logits() -> None:
    """Class logits of every location and anchor, one row each.

    (N H W A, K): before the sigmoid or softmax.
    """


@input(Map, niche="class_logits", latex=r"Z")
def class_map() -> None:
    """Class logits of a dense head as a map.

    (N, A K, H, W): before the sigmoid or softmax.
    """
