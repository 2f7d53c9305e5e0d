from __future__ import annotations

import re

import pytest

from detkds_gp.export import to_networkx
from detkds_gp.export.words import in_words
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("none", "the student alone, without distillation"),
        ("0.5 * 4.17 * smooth_l1(patches_4(global))", "0.5 times 4.17 times smooth l1 of patches 4 of global"),
        (
            "calibrated * kl(softmax_row(class_logits, 2)) + l1(global)",
            "1 times 1 times l1 of global plus "
            "1 times calibrated times kl of softmax row of class logits with temperature 2",
        ),
        (
            "l2(weighted(relu(global), disagreement(global)))",
            "1 times 1 times l2 of weighted of (relu of global) and (disagreement of global)",
        ),
    ],
)
def test_formulas_in_words(formula, said):
    assert in_words(to_networkx(parse_distiller(formula, OMNI), OMNI)) == said


def test_every_name_and_number_is_said_in_order(random_distillers):
    for distiller in random_distillers[1:]:
        said = in_words(to_networkx(distiller, OMNI))
        names = re.findall(r"[A-Za-z_]\w*|[\d.]+(?:e[-+]?\d+)?", distiller.text)
        place = 0
        for name in names:
            place = said.index(name.replace("_", " "), place) + len(name)
