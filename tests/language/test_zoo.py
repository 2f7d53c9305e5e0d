from __future__ import annotations

import pytest

from detkds_gp.errors import DeclarationError, FormulaError
from detkds_gp.language import Published, Zoo, load_primitive_set, load_zoo
from detkds_gp.primitives import OMNI
from detkds_gp.primitives.zoo import ZOO


def test_a_zoo_is_named_like_a_primitive_set() -> None:
    assert load_zoo("detkds_gp.primitives.zoo:ZOO") == ZOO
    assert list(ZOO)[:4] == ["mimic", "pkd", "pkd_two_stage", "cwd"]
    with pytest.raises(DeclarationError, match="zoo 'detkds_gp.primitives.zoo:Z0O': .* has no zoo 'Z0O'; did you mean"):
        load_zoo("detkds_gp.primitives.zoo:Z0O")
    with pytest.raises(DeclarationError, match="has no set 'OMNY'; did you mean 'OMNI'"):
        load_primitive_set("detkds_gp.primitives:OMNY")


def test_what_is_recommended_has_a_name_and_is_no_part_of_the_whole() -> None:
    own, best = Published("own", "1 * 2 * l2(global)", "here", "1"), Published("best", "l1(global)", "here", "1")
    zoo = Zoo(own, recommended=best)
    assert (list(zoo), list(zoo.named), zoo.recommended) == (["own"], ["own", "best"], best)
    assert Zoo(own).named == {"own": own}
    with pytest.raises(DeclarationError, match="two distillers of the zoo are called 'own'"):
        Zoo(own, recommended=own)


@pytest.mark.parametrize("name", ["zoo", "none", "a b", "l2(global)"])
def test_a_name_that_nobody_could_write(name: str) -> None:
    with pytest.raises(DeclarationError, match="wanted letters, digits and _"):
        Zoo(Published(name, "l2(global)", "here", "1"))


def test_two_of_one_name_and_a_formula_that_does_not_fit() -> None:
    one = Published("own", "l2(global)", "here", "1")
    with pytest.raises(DeclarationError, match="two distillers of the zoo are called 'own'"):
        Zoo(one, one)
    with pytest.raises(FormulaError, match="did you mean 'global'"):
        Published("own", "l2(globel)", "here", "1").distiller(OMNI)
