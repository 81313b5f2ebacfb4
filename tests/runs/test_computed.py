"""What a command may do while a run that has computed all writes its reports."""

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.config.config import parse_config
from winnow.report.reports import FOLDER
from winnow.runs.run import run
from winnow.runs.state import load_run


def test_it_is_told_when_the_shards_are_there_and_the_reports_are_not(tmp_path):
    write_sample(tmp_path / "data", 12)
    folder, found = tmp_path / "run", []
    run(
        parse_config(sample_config(tmp_path / "data", folder)),
        computed=lambda: found.append(
            (load_run(str(folder)).manifest["books"]["records"] > 0, (folder / FOLDER).exists())
        ),
    )
    assert found == [(True, False)] and (folder / FOLDER).exists()
