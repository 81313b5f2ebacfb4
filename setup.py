"""One package is installed, ``winnow``: the library in ``pipeline/``, and ``jobs/`` as ``winnow.jobs``.

Everything else stands in pyproject.toml, which cannot say this.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages("pipeline"), "winnow.jobs"])
