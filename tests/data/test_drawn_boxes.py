from __future__ import annotations

import numpy as np
from PIL import Image

from detkds_gp.data.drawn_boxes import draw_boxes, written

RED, GREY = (230, 25, 75), (128, 128, 128)


def _drawn(box: tuple[float, float, float, float], name: str = "cat") -> np.ndarray:
    image = Image.new("RGB", (100, 80), GREY)
    draw_boxes(image, [box], [name], ["#e6194b"])
    return np.asarray(image)


def _is(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (pixels == colour).all(axis=-1)


def test_a_box_is_a_line_of_its_colour_on_its_edges_and_leaves_its_object_bare() -> None:
    pixels = _drawn((20, 30, 70, 60))
    red = _is(pixels, RED)
    assert red[30:61, [20, 70]].all()
    assert red[60, 20:71].all()
    assert _is(pixels[34:57, 24:67], GREY).all()
    assert _is(pixels[:, :20], GREY).all()
    assert _is(pixels[61:], GREY).all()


def test_a_name_stands_above_its_box_on_its_colour_and_within_where_there_is_no_room() -> None:
    above, within = _drawn((20, 30, 70, 60)), _drawn((20, 2, 70, 60))
    for name in (above[10:30], within[4:18, 24:67]):
        assert _is(name, RED).sum() > 60  # the ground
        assert (name.min(axis=-1) > 180).sum() > 5  # letters
    assert _is(above[34:57, 24:67], GREY).all()
    assert _is(within[20:57, 24:67], GREY).all()


def test_a_name_that_the_font_cannot_write_is_its_place() -> None:
    assert written(["chat noir", "Straße", "енот", "γάτα", "猫", "raton laveur é"]) == [
        "chat noir", "Straße", "енот", "γάτα", "class 5", "raton laveur é"
    ]  # fmt: skip


def test_what_reaches_out_is_drawn_to_the_edge() -> None:
    red = _is(_drawn((-30, 40, 400, 400)), RED)
    assert red[40:80, [0, 99]].all()
    assert red[79].all()
