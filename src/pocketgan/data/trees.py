"""A folder of pictures, or an archive of one, looked into in the same way: what lies where, and what a file holds.

An archive is read in place, into memory, within the limits below. Nothing of it is ever written, so that a name in it
can lead nowhere; a name that tries to is refused all the same.
"""

from __future__ import annotations

import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Protocol, Self, cast

import torch

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import read_bytes
from pocketgan.data._checks import MAX_TABLE_BYTES, first_line
from pocketgan.data.image_set import ImageSet
from pocketgan.data.pictures import ENDINGS, read_pictures
from pocketgan.recipes.image_options import ImageOptions

HEAD = 16  # bytes that tell a picture
MAX_MEMBERS = 1_000_000
MAX_MEMBER_BYTES = 64 << 20
MAX_ARCHIVE_BYTES = 2 << 30  # of all members, unpacked
MAX_HEADER_BYTES = 1 << 20
BLOCK = 512  # of a TAR file; its first block names its first member
USTAR = slice(257, 262)
COMPRESSIONS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")  # what a TAR file may be packed with: gzip, bzip2, xz


class Listing(NamedTuple):
    """What lies in a folder, sorted by name."""

    folders: list[Path]
    files: list[Path]


class Tree(Protocol):
    """A folder, or an archive; its paths begin with its own."""

    path: Path
    looked_at: set[Path]  # what decided, so far, what is read from it

    def listing(self, folder: Path) -> Listing: ...
    def has(self, file: Path) -> bool: ...
    def is_picture(self, file: Path) -> bool: ...  # by its ending, or else by its first bytes
    def table(self, file: Path) -> bytes: ...  # the bytes of a file of text
    def content(self, file: Path) -> bytes | None: ...  # the bytes of a picture; None if they lie at the path


def is_picture(name: str, head: bytes) -> bool:
    """Whether a file is meant as a picture: by its name, or else by its first 16 bytes."""
    if name.lower().endswith(ENDINGS):
        return True
    return (
        head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"))
        or (head[:2] == b"BM" and head[6:10] == bytes(4))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace())
    )


class FolderTree:
    """A folder on the disk."""

    def __init__(self, path: Path) -> None:
        self.path, self.looked_at = path, {path}
        self.listings: dict[Path, Listing] = {}

    def listing(self, folder: Path) -> Listing:
        """What lies in it. Links are followed; what leads nowhere is a file."""
        self.looked_at.add(folder)
        if folder not in self.listings:
            found = self.listings[folder] = Listing([], [])
            for entry in sorted(folder.iterdir()):
                (found.folders if entry.is_dir() else found.files).append(entry)
        return self.listings[folder]

    def has(self, file: Path) -> bool:
        self.looked_at.add(file)
        return file.is_file()

    def is_picture(self, file: Path) -> bool:
        if file.name.lower().endswith(ENDINGS) or not file.is_file():  # what is no file is refused by name later
            return True
        with file.open("rb") as opened:
            return is_picture(file.name, opened.read(HEAD))

    def table(self, file: Path) -> bytes:
        self.looked_at.add(file)
        return read_bytes(file, MAX_TABLE_BYTES)

    def content(self, file: Path) -> bytes | None:
        self.looked_at.add(file)
        return None


class ArchiveTree:
    """A ZIP or TAR file, read whole. A TAR file may be packed with gzip, bzip2 or xz.

    Raises
    ------
    PocketganError
        It is damaged, locked by a password or too large, a name in it leads out of it, or two files have one name.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.looked_at, self.unpacked = path, {path}, 0
        self.contents: dict[Path, bytes] = {}
        self.listings: dict[Path, Listing] = {path: Listing([], [])}
        try:
            for number, (name, size, stream) in enumerate(_members(path), 1):
                self.unpacked += size
                if number > MAX_MEMBERS or size > MAX_MEMBER_BYTES or self.unpacked > MAX_ARCHIVE_BYTES:
                    raise PocketganError(
                        f"{path} holds more than is read in place ({MAX_MEMBERS:,} files, {MAX_MEMBER_BYTES >> 20} MiB "
                        f"a file, {MAX_ARCHIVE_BYTES >> 30} GiB in all); unpack it and give the folder"
                    )
                if name:
                    self._add(name, size, stream)
        except PocketganError:
            raise
        except Exception as error:  # the modules raise whatever the bytes lead them to
            raise PocketganError(
                f"{path} is a damaged archive ({first_line(error)}); make or fetch it again"
            ) from error
        for listing in self.listings.values():
            listing.folders.sort()
            listing.files.sort()

    def _add(self, name: str, size: int, stream: IO[bytes] | None) -> None:
        inside = PurePosixPath(name.replace("\\", "/"))
        if leads_out(inside) or any(ord(sign) < 32 for sign in name):
            raise PocketganError(f"{self.path} holds {name!r}, a name that leads out of it; make the archive again")
        file = self.path / inside
        if stream is None:
            self._folder(file)
            return
        if file in self.contents or file in self.listings:
            raise PocketganError(f"{self.path} holds {name!r} twice; make the archive again")
        content = stream.read(size + 1)
        if len(content) != size:
            raise PocketganError(f"{self.path} holds {name!r} in another size than it says; make or fetch it again")
        self.contents[file] = content
        self._folder(file.parent)
        self.listings[file.parent].files.append(file)

    def _folder(self, folder: Path) -> None:
        if folder in self.listings:
            return
        if folder in self.contents:
            raise PocketganError(f"{self.path} holds {folder.name!r} as a file and as a folder; make the archive again")
        self._folder(folder.parent)
        self.listings[folder] = Listing([], [])
        self.listings[folder.parent].folders.append(folder)

    def listing(self, folder: Path) -> Listing:
        return self.listings[folder]

    def has(self, file: Path) -> bool:
        return file in self.contents

    def is_picture(self, file: Path) -> bool:
        return is_picture(file.name, self.contents[file][:HEAD])

    def table(self, file: Path) -> bytes:
        return self.contents[file]

    def content(self, file: Path) -> bytes | None:
        return self.contents[file]


class _Member(tarfile.TarInfo):
    """A member of a TAR file whose long name, which is read into memory, is not too long."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and found.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError("one of its headers is too long")
        return found


def leads_out(inside: PurePosixPath) -> bool:
    """Whether a path from a folder leads out of it."""
    return inside.is_absolute() or ".." in inside.parts or re.match("[A-Za-z]:", str(inside)) is not None


def _members(path: Path) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    """Each file of an archive: its name, size and bytes; of a folder no bytes. Links and devices have no name."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.flag_bits & 1:
                    raise PocketganError(f"{path} is locked by a password; unpack it and give the folder")
                if info.is_dir():
                    yield info.filename, 0, None
                else:
                    with archive.open(info) as stream:
                        yield info.filename, info.file_size, stream
        return
    with tarfile.open(path, "r|*", tarinfo=_Member) as tape:
        for member in tape:
            if member.isdir():
                yield member.name, 0, None
            elif member.isfile():
                yield member.name, member.size, tape.extractfile(member)
            else:
                yield "", member.size, None


def is_tar(path: Path) -> bool:
    """Whether a file is a TAR file, plain or packed; told by its first block."""
    with path.open("rb") as file:
        head = file.read(BLOCK)
    if head.startswith(COMPRESSIONS):
        with suppress(OSError, EOFError, ValueError, zlib.error, lzma.LZMAError), _unpacked(path, head) as stream:
            head = stream.read(BLOCK)
    return len(head) == BLOCK and head[USTAR] == b"ustar"


def _unpacked(path: Path, head: bytes) -> IO[bytes]:
    import bz2

    if head.startswith(COMPRESSIONS[0]):
        return cast(IO[bytes], gzip.open(path))
    return bz2.open(path) if head.startswith(COMPRESSIONS[1]) else lzma.open(path)


def is_zipped_folder(path: Path) -> bool:
    """Whether a ZIP file holds pictures, by their endings; an NPZ file holds arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except Exception:  # damaged: whoever reads it says how
        return False
    return any(name.lower().endswith(ENDINGS) for name in names)


def pictures_in(
    tree: Tree,
    paths: Sequence[Path],
    options: ImageOptions,
    labels: Sequence[int] | None = None,
    class_names: tuple[str, ...] = (),
) -> ImageSet:
    """Pictures of a tree, at least one, with their labels; those of a grid have the label of the grid."""
    found = read_pictures(paths, options, tree.content)
    files = tuple(path.relative_to(tree.path).as_posix() for path in paths) if options.grid is None else ()
    tensor = None if labels is None else torch.tensor(labels).repeat_interleave(torch.tensor(found.counts))
    return ImageSet(found.images, tensor, class_names, files=files, notes=found.notes)
