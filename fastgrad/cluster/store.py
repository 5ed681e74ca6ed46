"""The file of a checkpoint: answers, appended one by one, each under a checksum.

A record is a mark, the length of what follows, its CRC-32, and that: a head in JSON first, which says
whose answers these are, then answers. What a crash left half written has no valid checksum: it is
passed over, and the search goes on at the next mark. Nothing in the file is ever unpickled.
"""

import json
import os
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.cluster.fingerprints import differences
from fastgrad.cluster.question import KEY_BYTES, Question, Span
from fastgrad.errors import CheckpointError

SCHEMA = "fastgrad/checkpoint/1"
MARK = b"\xf5fg\n"
"""Before every record; no text begins with it."""
FRAME = struct.Struct("<4sQI")
"""Mark, length, CRC-32."""
BODY = struct.Struct(f"<c{KEY_BYTES}sQQQddQ")
"""Kind, key, which time it was asked, start, stop, evaluations, seconds, bytes of words."""
HEAD, ANSWER = b"H", b"A"
SYNC_SECONDS = 1.0
"""What a loss of power may take: the file is forced to disk so often. A crash takes nothing."""


class Answer(NamedTuple):
    """The values of some evaluations of a question, and what was noticed on the way."""

    values: Floats
    """Shape (evaluations,), or (evaluations, outputs)."""
    seconds: float = 0.0
    evaluations: int = 0
    """How many it took: a value may be made twice."""
    outside: str = ""
    """What the loss raised at a point beside theta, the first of them."""
    remarks: tuple[str, ...] = ()
    """What a report says of how the loss was run."""


class Store:
    """Answers in a file, or in memory alone.

    Parameters
    ----------
    path : path or None
        The file; made where there is none.
    head : mapping
        What the answers depend on: versions and digests of loss, theta and arguments, by name.

    Raises
    ------
    CheckpointError
        It is another file, of another problem, or another process writes to it.
    """

    def __init__(self, path: str | os.PathLike[str] | None, head: Mapping[str, Any]):
        self.path = None if path is None else Path(path)
        self._known: dict[tuple[bytes, int], list[tuple[Span, Answer]]] = {}
        self._file: int | None = None
        self._place = (0, 0)
        self._synced = time.monotonic()
        if self.path is not None:
            self._open(self.path, {"schema": SCHEMA, **head})

    def known(self, key: bytes, times: int) -> list[tuple[Span, Answer]]:
        """What is known of a question that was asked so many times before."""
        return self._known.get((key, times), [])

    def add(self, key: bytes, times: int, span: Span, answer: Answer) -> None:
        """Append what became known."""
        if self._file is None:
            return
        words = json.dumps([answer.outside, answer.remarks]).encode()
        body = BODY.pack(
            ANSWER, key, times, *span, float(answer.evaluations), answer.seconds, len(words)
        )
        self._append(body + words + np.ascontiguousarray(answer.values, "<f8").tobytes())

    def close(self) -> None:
        """Force the file to disk, and let go of it."""
        if self._file is not None:
            os.fsync(self._file)
            self._let_go(self._file)

    def _let_go(self, file: int) -> None:
        self._file = None
        _held.discard(self._place)
        os.close(file)

    def _open(self, path: Path, head: Mapping[str, Any]) -> None:
        if not path.parent.is_dir():
            raise CheckpointError(f"checkpoint={str(path)!r}: there is no folder {path.parent}")
        if path.is_dir():
            raise CheckpointError(f"checkpoint={str(path)!r} is a folder: expected a file in it")
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, 0o666)
        try:
            self._place = _lock(file, path)
        except CheckpointError:
            os.close(file)
            raise
        self._file = file
        try:
            known = _contents(file)
            if known:
                self._read(known, head, path)
            else:
                words = json.dumps(head).encode()
                body = BODY.pack(HEAD, b"", 0, 0, 0, 0.0, 0.0, len(words)) + words
                self._append(body, at_once=True)
        except BaseException:
            self._let_go(file)
            raise

    def _read(self, known: bytes, head: Mapping[str, Any], path: Path) -> None:
        records = bodies(known)
        first = next(records, b"")
        was = _head_of(first)
        if was is None:
            raise CheckpointError(
                f"{path} is no checkpoint of fastgrad, or its beginning is lost: expected the file of "
                "an earlier call, or none; pass another path, or delete it"
            )
        differs = differences(was, head)
        if differs:
            raise CheckpointError(
                f"{path} belongs to another run: {'; '.join(differs)}. Expected the same call as the "
                "one that made it; pass another path, or delete it"
            )
        for body in records:
            kind, key, times, start, stop, evaluations, seconds, length = BODY.unpack_from(body)
            if kind != ANSWER:
                continue
            outside, remarks = json.loads(body[BODY.size : BODY.size + length])
            values = np.frombuffer(body, "<f8", offset=BODY.size + length)
            span = Span(start, stop)
            if values.size != span.size:
                values = values.reshape(span.size, -1)
            answer = Answer(values, seconds, int(evaluations), outside, tuple(remarks))
            self._known.setdefault((key, times), []).append((span, answer))

    def _append(self, body: bytes, at_once: bool = False) -> None:
        assert self._file is not None
        record = FRAME.pack(MARK, len(body), zlib.crc32(body)) + body
        try:
            left = memoryview(record)
            while left:
                left = left[os.write(self._file, left) :]
            if at_once or time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file)
                self._synced = time.monotonic()
        except OSError as error:
            raise CheckpointError(
                f"cannot write {self.path}: {error.strerror}; what is in it stands: make room, and "
                "the same call goes on from there"
            ) from error


class Answers:
    """The answers of one evaluator in a store, which it asks for in the order in which it was asked.

    Parameters
    ----------
    store : Store
    place : str
        Which of all evaluators it is: the same in the run that made the file.
    """

    def __init__(self, store: Store, place: str):
        self.store, self._place = store, place.encode()
        self._asked: Counter[bytes] = Counter()

    @property
    def kept(self) -> bool:
        """Whether they are in a file."""
        return self.store.path is not None

    def about(
        self, question: Question
    ) -> tuple[list[tuple[Span, Answer]], Callable[[Span, Answer], None]]:
        """What is known of a question, asked anew, and what adds to it."""
        key = blake2b(self._place + question.key, digest_size=KEY_BYTES).digest()
        times = self._asked[key]
        self._asked[key] += 1
        return self.store.known(key, times), partial(self.store.add, key, times)


_BINARY = getattr(os, "O_BINARY", 0)
READ_BYTES = 1 << 24
"""Bytes read at a time."""


def _contents(file: int) -> bytes:
    """All of a file that is open: to open it again, and to close it, would end its lock."""
    os.lseek(file, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(file, READ_BYTES), b""))


def bodies(known: bytes) -> Iterator[bytes]:
    """The bodies of all valid records; what has no valid checksum is passed over."""
    at = known.find(MARK)
    while at >= 0 and at + FRAME.size <= len(known):
        _, length, crc = FRAME.unpack_from(known, at)
        body = known[at + FRAME.size : at + FRAME.size + length]
        if len(body) == length and length >= BODY.size and zlib.crc32(body) == crc:
            yield body
            at += FRAME.size + length
            if known[at : at + len(MARK)] == MARK:
                continue
        at = known.find(MARK, at + (known[at : at + len(MARK)] == MARK))


def _head_of(body: bytes) -> dict[str, Any] | None:
    if len(body) < BODY.size or BODY.unpack_from(body)[0] != HEAD:
        return None
    with suppress(ValueError):
        found = json.loads(body[BODY.size :])
        if isinstance(found, dict) and found.get("schema") == SCHEMA:
            return found
    return None


_held: set[tuple[int, int]] = set()
"""Files that this process writes to: its locks would not keep it from itself."""


def _lock(file: int, path: Path) -> tuple[int, int]:
    """Keep the file to this store, where the system knows how; which file it is.

    Not by flock, which a forked worker would hold on to after this process has died.
    """
    status = os.fstat(file)
    place = status.st_dev, status.st_ino
    try:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise _in_use(path) from None
    except (ImportError, OSError):  # Windows, or a file system without locks
        pass
    if place in _held:
        raise _in_use(path)
    _held.add(place)
    return place


def _in_use(path: Path) -> CheckpointError:
    return CheckpointError(
        f"another process, or another call in this one, writes to {path}: expected a file of its own "
        "for every call"
    )
