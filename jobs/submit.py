"""``winnow submit``: the same run as a job of a Ray cluster, with the run's own exit code."""

import json
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .job_server import connect, first_line, patiently
from .paths import settled
from .run import ConfigPath, Overrides

if TYPE_CHECKING:
    from winnow.config.config import Config
    from winnow.engine.stopping import Stop

LOOK_SECONDS = 2.0
"""How often to ask for the job's state and its log."""
LOST_AFTER_SECONDS = 300.0
"""How long the cluster may be out of reach before we stop waiting for the job."""
STOP_MARGIN_SECONDS = 30
"""What a job may take, beyond its grace time, to end when it is stopped."""


def submit(
    config: ConfigPath,
    overrides: Overrides = None,
    address: Annotated[
        str | None,
        typer.Option(help="The cluster's dashboard, such as head:8265; else RAY_API_SERVER_ADDRESS, RAY_ADDRESS."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end and pass the run's exit code on.")] = True,
    follow: Annotated[bool, typer.Option(help="Print the job's log while waiting.")] = True,
    working_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            callback=settled,
            help="Upload this folder and run in it, for clusters where winnow is not installed; CONFIG must lie in it. "
            "Without it, only CONFIG, the files of its operators and its URL lists are uploaded.",
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Environment of the job. Shown on the dashboard: no secrets. May be repeated."
        ),
    ] = None,
    new_only: Annotated[bool, typer.Option("--new-only", help="As for `winnow run`.")] = False,
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="As for `winnow run`.")] = None,
    if_changed: Annotated[bool, typer.Option("--if-changed", help="As for `winnow run`.")] = False,
    submission_id: Annotated[str | None, typer.Option(help="The job's name; each can be used once a cluster.")] = None,
) -> None:
    """Run CONFIG as a job of a Ray cluster.

    Exit codes are those of `winnow run`; 75 also when somebody stopped the job. Ctrl-C or SIGTERM asks the job to stop
    and waits until it has (committed work stays); a second one leaves it alone.
    """
    from winnow.engine.stopping import Stop

    from .exit_codes import OK, leave, true_exit_codes

    stop = Stop()
    with true_exit_codes(), stop.handle_signals():
        from winnow.config.load import load_config

        settings = load_config(config, overrides, as_written=True)
        _refuse_relative_paths(settings)
        variables = _variables(env or [])
        _refuse_keys(settings, variables)
        stop.grace_seconds = settings.compute.grace_seconds + STOP_MARGIN_SECONDS
        client = connect(address)
        more = _options(overrides or [], new_only=new_only, name=name, if_changed=if_changed)
        job = _submit(client, config, more, settings, working_dir, submission_id, variables)
        print(f"winnow: job {job}", file=sys.stderr, flush=True)
        code = _outcome(client, job, _wait(client, job, stop, follow=follow), stop) if wait else OK
    leave(code)


def _options(overrides: list[str], *, new_only: bool, name: str | None, if_changed: bool) -> list[str]:
    """What `winnow run` on the cluster is given beside the config."""
    more = [part for override in overrides for part in ("--set", override)]
    more += ["--new-only"] if new_only else []
    more += ["--as", name] if name is not None else []
    return more + (["--if-changed"] if if_changed else [])


def _variables(given: list[str]) -> dict[str, str]:
    from winnow.errors import ConfigError

    for text in given:
        if "=" not in text:
            raise ConfigError(f"--env {text!r}: expected NAME=VALUE")
    return {name: value for name, _, value in (text.partition("=") for text in given)}


def _refuse_keys(config: "Config", variables: dict[str, str]) -> None:
    """What a job is given as its environment is shown on the dashboard, and kept there."""
    from winnow.errors import EncryptionError

    encryption = config.storage.encryption
    if encryption is not None and encryption.variable in variables:
        raise EncryptionError(
            f"--env {encryption.variable}: a key given to a job is shown on the dashboard; set it in the environment "
            "of the nodes (a secret of the pods), or give storage.encryption.command, which every worker runs"
        )


def _refuse_relative_paths(config: "Config") -> None:
    """A job's current folder is a temporary one of the cluster: what lay under it would be lost."""
    from winnow.errors import ConfigError
    from winnow.sources.wanted import addresses_of
    from winnow.storage.address import is_url

    paths = {"run": config.run}
    for source in config.sources:
        paths |= {f"path of source {source.name}": path for path in addresses_of(source, config.storage)}
    if config.dedup and config.dedup.index:
        paths["dedup.index"] = config.dedup.index
    on_disks = {name: path for name, path in paths.items() if not is_url(path)}
    relative = [f"  {name}: {path}" for name, path in on_disks.items() if not Path(path).is_absolute()]
    if relative:
        raise ConfigError(
            "on a cluster every path must be absolute, without ~, and the same on all nodes (shared storage, or an "
            "address such as s3://bucket/run)\n" + "\n".join(relative)
        )


def _submit(
    client: Any,
    config: str,
    more: list[str],
    settings: "Config",
    working_dir: str | None,
    job: str | None,
    variables: dict[str, str],
) -> str:
    from winnow.errors import ConfigError, WinnowError

    with tempfile.TemporaryDirectory(prefix="winnow-submit-") as alone:
        if working_dir is None:
            name = Path(config).name
            shutil.copyfile(config, Path(alone) / name)
            more = more + _operators_along(settings, Path(alone)) + _lists_along(settings, Path(alone))
        else:
            try:
                name = str(Path(config).resolve().relative_to(Path(working_dir).resolve()))
            except ValueError as error:
                raise ConfigError(f"{config} does not lie in --working-dir {working_dir}; put it there") from error
        entrypoint = "exec " + shlex.join(["python", "-m", _module(working_dir), name, *more])
        seconds = str(int(settings.compute.grace_seconds) + STOP_MARGIN_SECONDS)
        chosen = job or f"winnow-{secrets.token_hex(8)}"

        def ask() -> str:
            try:
                submitted: str = client.submit_job(
                    # `exec`, so that a stop reaches the run itself and not only a shell around it
                    entrypoint=entrypoint,
                    submission_id=chosen,
                    runtime_env={
                        "working_dir": working_dir or alone,
                        "env_vars": {
                            "RAY_JOB_STOP_WAIT_TIME_S": seconds,
                            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
                            **variables,
                        },
                    },
                    metadata={"run": settings.run, "submit": token},
                )
            except RuntimeError as error:
                if "already exists" in str(error) and _is_ours(client, chosen, token):
                    return chosen  # the request before had arrived, only its answer was lost
                raise
            return submitted

        token = secrets.token_hex(8)
        try:
            return patiently(f"job {chosen}", ask)
        except (RuntimeError, ValueError) as error:
            if isinstance(error, WinnowError):
                raise
            raise ConfigError(f"the cluster refused the job: {first_line(error)}") from error


def _is_ours(client: Any, job: str, token: str) -> bool:
    """Whether a job of this name is the one that this command has sent."""
    metadata = client.get_job_info(job).metadata or {}
    return bool(metadata.get("submit") == token)


def _operators_along(config: "Config", folder: Path) -> list[str]:
    """Copy files of operators, those that their settings name, and the model of languages into a folder; options that
    name the copies."""
    from winnow.operators.config import OperatorConfig
    from winnow.operators.files import existing
    from winnow.operators.origins import parse_use
    from winnow.storage.address import is_url

    options: list[str] = []
    entries = [(f"measure.operators.{n}", f"{n}", entry) for n, entry in enumerate(config.measure.operators)]
    entries += [
        (f"sources.{n}.extract", f"extract-{n}", source.extract)
        for n, source in enumerate(config.sources)
        if isinstance(source.extract, OperatorConfig)
    ]
    for where, number, entry in entries:
        use = parse_use(entry.use)
        wanted = {} if use.file is None or is_url(use.file) else {"use": Path(use.file)}
        for key, value in entry.settings.items():
            path = existing(value)
            if path is not None and path.is_file():
                wanted[key] = path
        for key, path in wanted.items():
            copy = f"operators/{number}/{key}/{path.name}"
            _copy_along(path, folder / copy, f"{where}.{key}")
            named = f"{copy}:{use.object}" if key == "use" else copy
            options += ["--set", f"{where}.{key}={json.dumps(named)}"]
    model = existing(config.measure.language.model)
    if model is not None and model.is_file():
        copy = f"operators/language/{model.name}"
        _copy_along(model, folder / copy, "measure.language.model")
        options += ["--set", f"measure.language.model={json.dumps(copy)}"]
    return options


def _copy_along(path: Path, copy: Path, setting: str) -> None:
    from winnow.errors import ConfigError

    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(path, copy)
    except OSError as error:
        raise ConfigError(f"{setting}: {path}: {error.strerror or error}") from error


def _lists_along(config: "Config", folder: Path) -> list[str]:
    """Copy URL lists of this machine into a folder; options that name the copies. Their names stay what they are."""
    from winnow.storage.address import is_url, settled_path
    from winnow.text.urls.config import KINDS

    options: list[str] = []
    for kind in KINDS if config.filter.urls else ():
        paths = list(getattr(config.filter.urls, kind))
        for number, path in enumerate(paths):
            if is_url(path):
                continue
            here = Path(settled_path(path)).absolute()
            copy = f"lists/{kind}/{number}/{here.parent.name or 'root'}/{here.name}"
            _copy_along(here, folder / copy, f"filter.urls.{kind}")
            paths[number] = copy
        if paths:
            options += ["--set", f"filter.urls.{kind}={json.dumps(paths)}"]
    return options


def _module(working_dir: str | None) -> str:
    """What the job starts: the checkout that is sent along, or what is installed on the cluster."""
    sent = Path(working_dir or "")
    checkout = (
        working_dir is not None and (sent / "jobs" / "run.py").exists() and (sent / "pipeline" / "winnow").exists()
    )
    return "jobs.run" if checkout else "winnow.jobs.run"


def _wait(client: Any, job: str, stop: "Stop", *, follow: bool) -> Any:
    """The job's details once it has ended. The state is asked for, again and again: the end of a log says nothing."""
    from ray.job_submission import JobStatus

    printed = 0
    stopping = False
    seen = time.monotonic()
    ended = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED)
    while True:
        try:
            if stop.asked.is_set() and not stopping:
                client.stop_job(job)
                stopping = True
            details = client.get_job_info(job)
            if follow:
                printed = _print_new(client.get_job_logs(job), printed)
            seen = time.monotonic()
            if details.status in ended:
                return details
        except (OSError, RuntimeError) as error:  # requests' own errors are OSErrors
            if time.monotonic() - seen > LOST_AFTER_SECONDS:
                raise OSError(
                    f"the cluster has been out of reach for {LOST_AFTER_SECONDS:.0f} s; job {job} may still run, and "
                    f"what it commits stays: {first_line(error)}"
                ) from error
        time.sleep(LOOK_SECONDS)


def _print_new(log: str, printed: int) -> int:
    """Print what a log has gained; returns how much of it is printed now. Half a line waits for its end."""
    from winnow.report.printable import printable

    end = log.rfind("\n") + 1
    if end > printed:
        sys.stdout.write(printable(log[printed:end].expandtabs()))
        sys.stdout.flush()
        return end
    return printed


def _outcome(client: Any, job: str, details: Any, stop: "Stop") -> int:
    """The run's exit code; what a user needs to know goes to stderr."""
    from winnow.errors import exit_code_of
    from winnow.report.printable import printable

    from .exit_codes import FAILED, OK, RESUMABLE

    state = details.status.value
    if state == "SUCCEEDED":
        return OK
    if state == "STOPPED":
        print(f"winnow: job {job} was stopped; the same command goes on", file=sys.stderr)
        return exit_code_of(stop.signal_number) if stop.asked.is_set() else RESUMABLE
    code = details.driver_exit_code
    if code == FAILED and "No module named 'winnow" in client.get_job_logs(job):
        print(
            "winnow: winnow is not installed on the cluster; send a checkout with --working-dir FOLDER, which holds "
            "`jobs`, `pipeline` and CONFIG, or install it on every node",
            file=sys.stderr,
        )
    if code is None or not 0 < code < 256:
        told = printable(str(details.message or "no reason given").splitlines()[0])
        print(f"winnow: job {job} failed without an exit code of its own: {told}", file=sys.stderr)
        return FAILED
    return int(code)
