"""Asks the program that measures results in the background to pause while a script here measures time.

    with quiet(): ...

The two programs agree by files in the folder `receptive-results-UID` of $TMPDIR, or of /tmp:

| file | who | what |
|---|---|---|
| pause.lock | scripts | a shared lock on it asks for a pause, as long as the lock is held |
| runner.lock | the background program | holds an exclusive lock as long as it lives |
| state | the background program | `running ...`, or `paused` |
"""
import contextlib, fcntl, os, pathlib, time

PATIENCE = 10.0  # seconds
BUSY = "results are being measured in the background and did not pause: run tools/results.sh pause"


@contextlib.contextmanager
def quiet():
    """Inside, nothing is measured in the background. Ends the script if the background program does not pause."""
    folder = pathlib.Path(os.environ.get("TMPDIR") or "/tmp") / f"receptive-results-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / "pause.lock", "a") as pause:
        fcntl.flock(pause, fcntl.LOCK_SH)
        end = time.monotonic() + PATIENCE
        while running(folder):
            if time.monotonic() > end:
                raise SystemExit(BUSY)
            time.sleep(0.1)
        yield


def running(folder):
    try:
        if not (folder / "state").read_text().startswith("running"):
            return False
        with open(folder / "runner.lock") as runner:
            # A runner that was killed leaves `running` behind, but no lock.
            fcntl.flock(runner, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
