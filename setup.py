"""Lists the packages and the one file beside them; everything else about the distribution stands in setup.cfg."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithOperators(build_py):
    """Puts the file beside the packages by which any program of an environment finds mmcv's operators."""

    def run(self):
        """Copy the packages, and the file beside them into a wheel."""
        super().run()
        if not self.editable_mode:  # install.sh copies it into the environment of a checkout
            self.copy_file("detkds_gp_operators.pth", self.build_lib)


primitives = [f"detkds_gp.{name}" for name in find_packages(include=["primitives", "primitives.*"])]
setup(
    packages=[*find_packages(include=["detkds_gp*"]), *primitives, "detkds_gp.configs"],
    cmdclass={"build_py": BuildWithOperators},
)
