"""What a run must know after it was killed. It is on disk before anything is sent that it is about."""

import json
import os
from typing import Any, Dict, Optional

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt


class StateError(Exception):
    """The state cannot be used."""


class State:
    def __init__(self, path: str):
        self.path = path
        self.sheet = ""  # the digest of the sheet that this is about
        self.done = 0  # how many of its SKUs have been dealt with
        self.finished = True
        self.pending: Optional[Dict[str, Any]] = None  # writes that were sent and may not have been answered
        self.counts: Dict[str, int] = {}
        self.report_size = 0

    FIELDS = ("sheet", "done", "finished", "pending", "counts", "report_size")

    def load(self) -> None:
        try:
            with open(self.path, encoding="utf-8") as f:
                stored = json.load(f)
            if stored["version"] != 1:
                raise ValueError(f"version {stored['version']} is of another program")
            for name in self.FIELDS:
                setattr(self, name, stored[name])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as e:
            raise StateError(f"{self.path} is not a state of sheet-sync ({e}): move it away and run again; nothing is "
                             "lost but the place where the last run stopped") from None
        except OSError as e:
            raise StateError(f"cannot read {self.path}: {e.strerror}") from None

    def save(self) -> None:
        """Replaces the file in one step: a kill leaves the old one or the new one, never half of one."""
        beside = self.path + ".new"
        try:
            with open(beside, "w", encoding="utf-8") as f:
                json.dump({"version": 1, **{name: getattr(self, name) for name in self.FIELDS}}, f)
                f.flush()
                os.fsync(f.fileno())
            os.replace(beside, self.path)
            sync_directory(os.path.dirname(os.path.abspath(self.path)))
        except OSError as e:
            raise StateError(f"cannot write {self.path}: {e.strerror}") from None


def sync_directory(path: str) -> None:
    if fcntl is None:
        return  # Windows cannot open a directory
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Locked(Exception):
    """Another run has the lock."""


class Lock:
    """Holds a file that only one run can have; the system takes it back when the run ends, however that is."""

    def __init__(self, path: str):
        try:
            self.file = open(path, "a+b")
        except OSError as e:
            raise StateError(f"cannot write {path}: {e.strerror}") from None
        try:
            if fcntl is not None:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                self.file.seek(0)
                msvcrt.locking(self.file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            self.file.close()
            raise Locked("another sync is running with this state") from None
