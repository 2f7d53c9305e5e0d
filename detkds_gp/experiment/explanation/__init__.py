"""Why a winner wins: what is left of it without its parts, and pictures of what it pulls at."""

from detkds_gp.experiment.explanation.explain import Explaining, Explanation, recorded_config

__all__ = ["Explaining", "Explanation", "recorded_config"]
