"""Lists the packages; everything else about the distribution stands in setup.cfg."""

from setuptools import find_packages, setup

primitives = [f"detkds_gp.{name}" for name in find_packages(include=["primitives", "primitives.*"])]
setup(packages=[*find_packages(include=["detkds_gp*"]), *primitives, "detkds_gp.configs"])
