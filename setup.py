"""One package is installed, ``winnow``: the library in ``pipeline/``, and the entry points in ``jobs/`` in it.

Everything else stands in pyproject.toml, which cannot say this.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages("pipeline"), "winnow.jobs"])
