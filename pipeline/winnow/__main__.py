"""``python -m winnow``: the ``winnow`` command, for where the folder of installed scripts is not on the path."""

import runpy

runpy.run_module("winnow.jobs", run_name="__main__", alter_sys=True)
