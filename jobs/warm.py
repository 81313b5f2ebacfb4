"""``winnow warm``: compile all kernels of a default run now, so that no run has to. Images and new nodes do it once."""

import typer


def warm() -> None:
    """Compile the kernels that runs need with all cores of this machine, under NUMBA_CACHE_DIR or the user's cache."""
    from .exit_codes import log_to_stderr, true_exit_codes

    with true_exit_codes():
        log_to_stderr()
        from winnow.numeric.cache_folder import CACHE_FOLDER
        from winnow.stages.kernel_sets import are_compiled, compile_now

        if are_compiled():
            print(f"all kernels are compiled: {CACHE_FOLDER}")
        else:
            print(f"compiled all kernels in {compile_now():.1f} s: {CACHE_FOLDER}")


if __name__ == "__main__":
    typer.run(warm)
