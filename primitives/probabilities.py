"""From logits to distributions (log-probabilities) and to independent probabilities (logits)."""

from torch import Tensor

from detkds_gp.language import Map, Probs, Rows, Temperature, Units, transform


def _tempered(x: Tensor, temperature: float) -> Tensor:
    # A division by 1 would pass over the whole map for nothing.
    return x if temperature == 1 else x / temperature


@transform((Map, Temperature), Probs, shape="n c h w -> (n c) (h w)", latex=r"\sigma_{hw}(#1 / #2)")
def softmax_space(x: Tensor, temperature: float) -> Tensor:
    """Make every channel's map a distribution over its positions.

    Source: CWD (ICCV 2021), eq. 4.
    """
    return _tempered(x, temperature).flatten(2).log_softmax(dim=2).flatten(0, 1)


@transform((Map, Temperature), Probs, shape="n c h w -> (n h w) c", latex=r"\sigma_{c}(#1 / #2)")
def softmax_channel(x: Tensor, temperature: float) -> Tensor:
    """Make every position's channels a distribution."""
    return _tempered(x, temperature).permute(0, 2, 3, 1).flatten(0, 2).log_softmax(dim=1)


@transform((Rows, Temperature), Probs, shape="m d -> m d", latex=r"\sigma(#1 / #2)")
def softmax_row(x: Tensor, temperature: float) -> Tensor:
    """Make every row a distribution. Source: Hinton et al. (2015)."""
    return _tempered(x, temperature).log_softmax(dim=1)


@transform((Rows, Temperature), Units, shape="m d -> m d", latex=r"s(#1 / #2)")
def units(x: Tensor, temperature: float) -> Tensor:
    """Read every number as the logit of an independent probability, as sigmoid heads do."""
    return _tempered(x, temperature)


@transform(Probs, Rows, shape="m d -> m d", latex=r"p(#1)")
def probabilities(x: Tensor) -> Tensor:
    """Turn log-probabilities into probabilities, for distances other than divergences."""
    return x.exp()


@transform(Units, Rows, shape="m d -> m d", latex=r"p(#1)")
def sigmoid_units(x: Tensor) -> Tensor:
    """Turn the logits of independent probabilities into probabilities in [0, 1]."""
    return x.sigmoid()
