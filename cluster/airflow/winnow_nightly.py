"""An Airflow DAG: a night's run through `winnow submit`, whose exit codes say what to do. For Airflow 2.9 or newer."""

import os
import subprocess
from datetime import datetime, timedelta

from airflow.decorators import dag, task
from airflow.exceptions import AirflowException, AirflowFailException


@dag(
    schedule="15 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # winnow's own lease refuses an overlap, too
    tags=["winnow"],
)
def winnow_nightly():
    """One task a night."""

    @task(retries=3, retry_delay=timedelta(minutes=5), execution_timeout=timedelta(hours=20))
    def night(ds=None):
        """Run one night; `ds` is its date whenever that happens, so a retry goes on where the last attempt ended."""
        line = ["winnow", "submit", "/data/config/nightly.yaml", "--new-only", "--if-changed", "--as", ds]
        environment = {"RAY_API_SERVER_ADDRESS": "http://ray-head:8265", **os.environ}
        code = subprocess.run(line, env=environment, check=False).returncode
        if code in (2, 3, 4):  # refused, another run is at work, or alarms: a retry would not help
            raise AirflowFailException(f"winnow ended with {code}")
        if code != 0:  # 1: units failed, 75: stopped; committed work stays
            raise AirflowException(f"winnow ended with {code}")

    night()


winnow_nightly()
