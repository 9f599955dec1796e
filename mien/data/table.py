"""A table of rows that several processes may change and no crash can spoil.

It is one file of JSON lines, and beside it a journal of what has changed since. A change is one line put behind the journal
and flushed to the disk; opening reads the table and then the journal. Now and then, and on `Table.settle`, the two become a
new table, written aside and renamed. A lock file lets one process change it at a time, and each reads first what the others
have added.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock

from mien.data.sample import row_from_line, rows_of
from mien.errors import DataError
from mien.media.write import whole_file

_LONG_JOURNAL = 8_000_000
"""Bytes of a journal from which on opening makes one table of it."""
_MANY_CHANGES = 2_000
"""Rows changed at once from which on the whole table is written instead of the journal."""
_PATIENCE_S = 30.0


class Table:
    """Rows by their ``file_name``.

    path: the table, JSON lines. journal, lock: files beside it. Rows handed out are the table's own: change none in place.
    times_read: grows whenever rows came from the disk, so whoever keeps an index of them knows that it is old.

    Raises `DataError` when a line is no row, or another process keeps the lock for half a minute.
    """

    def __init__(self, path: Path, journal: Path, lock: Path) -> None:
        self._path, self._journal = path, journal
        self._lock = filelock.FileLock(lock, timeout=_PATIENCE_S)
        self._rows: dict[str, dict[str, Any]] = {}
        self._token = ""
        self._seen = 0
        self.times_read = 0
        with self.locked():
            if self._seen > _LONG_JOURNAL:
                self._write_whole()

    @contextmanager
    def locked(self) -> Iterator[dict[str, dict[str, Any]]]:
        """Hold the table for this process alone, brought up to date; gives the rows. May be nested.

        Raises `DataError` when another process keeps it.
        """
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise DataError(f"{self._path}: another program has been writing for {_PATIENCE_S:.0f} s; try again") from None
        except OSError as error:
            raise DataError(
                f"{self._path}: cannot be locked ({error.strerror or error}); make the folder writable"
            ) from None
        try:
            if self._lock.lock_counter == 1:
                self._catch_up()
            yield self._rows
        finally:
            self._lock.release()

    def change(self, rows: Iterable[Mapping[str, Any]] = (), removed: Iterable[str] = ()) -> None:
        """Put rows, in the place of those of the same name, and take rows out, all on the disk when this returns."""
        put, names = {row["file_name"]: dict(row) for row in rows}, list(removed)
        if not put and not names:
            return
        lines = [{"put": row} for row in put.values()] + [{"remove": name} for name in names]
        with self.locked():
            if len(lines) > _MANY_CHANGES:
                self._apply(put, names)
                self._write_whole()
                return
            data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            try:
                with open(self._journal, "ab") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                with suppress(OSError):  # what is left of half a line would spoil the next one
                    os.truncate(self._journal, self._seen)
                raise DataError(f"{self._journal}: cannot be written ({error.strerror or error})") from None
            self._seen += len(data)
            self._apply(put, names)

    def settle(self) -> None:
        """Make one table of table and journal, where there is a journal, for programs that know nothing of it."""
        with self.locked():
            if self._seen > len(self._header()):
                self._write_whole()

    def _header(self) -> bytes:
        return json.dumps({"journal": self._token}).encode() + b"\n"

    def _apply(self, put: Mapping[str, dict[str, Any]], removed: Iterable[str]) -> None:
        self._rows.update(put)
        for name in removed:
            self._rows.pop(name, None)

    def _write_whole(self) -> None:
        with whole_file(self._path) as file:
            for row in self._rows.values():
                file.write(json.dumps(row).encode() + b"\n")
        # A crash here leaves the old journal: its lines say once more what the table says already.
        self._begin_journal()

    def _begin_journal(self) -> None:
        self._token = secrets.token_hex(8)
        header = self._header()
        with whole_file(self._journal) as file:
            file.write(header)
        self._seen = len(header)

    def _catch_up(self) -> None:
        """Read what other processes have changed since, and cut off a line that one of them could not finish."""
        try:
            with open(self._journal, "r+b") as file:
                header = file.readline()
                if header != self._header():
                    self._read_whole(header)
                file.seek(self._seen)
                text = file.read()
                whole = text.rfind(b"\n") + 1
                if whole < len(text):
                    file.truncate(self._seen + whole)
        except FileNotFoundError:
            self._read_whole(b"")
            self._begin_journal()
            return
        except OSError as error:
            raise DataError(f"{self._journal}: cannot be opened ({error.strerror or error})") from None
        for line in text[:whole].splitlines():
            self._replay(line)
        self._seen += whole
        self.times_read += bool(whole)

    def _read_whole(self, header: bytes) -> None:
        """The table as it is on the disk; the journal is then read from its first line on."""
        try:
            self._token = str(json.loads(header)["journal"]) if header else ""
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{self._journal}: expected a journal of changes, got {header[:40]!r}; move it away") from None
        self._rows = {}
        self.times_read += 1
        if self._path.is_file():
            for where, row in rows_of(self._path):
                if not isinstance(row["file_name"], str):
                    raise DataError(f"{where}: expected a file_name that is a text, got {str(row['file_name'])[:60]}")
                self._rows[row["file_name"]] = row
        self._seen = len(header)

    def _replay(self, line: bytes) -> None:
        where = str(self._journal)
        try:
            change = json.loads(line)
            if "put" in change:
                row = row_from_line(json.dumps(change["put"]), where)
                self._rows[row["file_name"]] = row
            else:
                self._rows.pop(change["remove"], None)
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{where}: expected a change a line, got {line[:60]!r}; move the file away") from None
