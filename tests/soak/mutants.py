"""Point 3: files of every kind that the program reads, damaged: they load, or cost one line that names them."""

from __future__ import annotations

import csv
import gzip
import io
import random
import resource
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from pocketgan.core.errors import PocketganError
from pocketgan.data.idx import idx_header
from pocketgan.data.load import load_images
from pocketgan.data.pictures import read_picture
from pocketgan.importing.tensors import read_weights
from pocketgan.recipes import GAN_PRESETS, gan_recipe, recipe_toml
from soak.runs import Count

SECONDS = 10  # that one file may take
MEMORY_KB = 64 << 10  # beyond the baseline and four times the file
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (40, 12, 12), dtype=np.uint8)
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
TOKENS = (
    "[",
    "{",
    "]]",
    '"',
    "'",
    ",",
    "\0",
    "\n",
    "=",
    "nan",
    "inf",
    "1e999",
    "-1",
    "9" * 400,
    "\ufeff",
    "é",
    "../",
    "#",
)


class Kind(NamedTuple):
    """A kind of file: some whole ones, and how it is read."""

    seeds: list[bytes]
    load: Callable[[Path], Any]
    name: str = "file"  # of the file in its folder


def kinds(folder: Path) -> dict[str, Kind]:
    """All kinds; `folder` takes what must lie beside the damaged files."""
    beside = folder / "csv"
    beside.mkdir(parents=True, exist_ok=True)
    for number in range(8):
        (beside / f"{number}.png").write_bytes(_picture(PIXELS[number]))
    return {
        "IDX and gzip": Kind(_idx(), load_images),
        "NPZ and NPY": Kind(_arrays(), load_images),
        "PNG and JPEG": Kind(_pictures(), read_picture),
        "TOML": Kind([recipe_toml(preset.recipe).encode() for preset in GAN_PRESETS.values()], _read_toml, "file.toml"),
        "safetensors": Kind(_safetensors(), read_weights),
        "metadata.csv": Kind(_tables(), _read_table, "csv/metadata.csv"),
    }


def of_kind(folder: Path, name: str, count: int, seed: int = 0) -> Count:
    """Damage whole files of one kind and read them."""
    kind = kinds(folder)[name]
    judge, chance, failed = Judge(folder, kind), random.Random(f"{name} {seed}"), []
    for number in range(count):
        damaged = mutated(chance.choice(kind.seeds), kind.seeds, chance)
        if wrong := judge.wrong_with(damaged):
            failed.append(f"{name} {number} ({len(damaged)} bytes, {damaged[:24]!r}): {wrong}")
    return Count(f"mutants of {name}", count, failed)


class Judge:
    """Reads contents of one kind as files in `folder`, after the whole ones, which must load."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self.path, self.load, self.written = folder / kind.name, kind.load, _Writes()
        for whole in kind.seeds:
            self.path.write_bytes(whole)
            kind.load(self.path)

    def wrong_with(self, content: bytes) -> str | None:
        """What is wrong with how it was taken; None if it loaded, or cost one line that names its file."""
        self.path.write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wrong = _wrong(self.load, self.path, self.written)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        return f"took {grown} kB of memory" if grown > MEMORY_KB + 4 * len(content) // 1024 else wrong


def mutated(whole: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One file, damaged one to four times over."""
    damaged = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(damaged)) if damaged else 0
        end = min(len(damaged), place + chance.choice((1, 2, 4, 8, 64, 1024)))
        way = chance.randrange(10)
        if way <= 2 and damaged:
            damaged[place] ^= 1 << chance.randrange(8)
        elif way == 3:
            del damaged[place:]
        elif way == 4:
            del damaged[place:end]
        elif way == 5:
            damaged[place:place] = damaged[place:end] * chance.choice((1, 2, 50))
        elif way == 6:
            damaged[place:end] = bytes([chance.choice((0, 255, 32, chance.randrange(256)))]) * (end - place)
        elif way == 7:
            number = chance.choice(NUMBERS)
            code = chance.choice(("<I", ">I", "<Q", ">Q", "<H", ">H", "B"))
            size = struct.calcsize(code)
            damaged[place : place + size] = struct.pack(code, number % (1 << 8 * size))
        elif way == 8:
            other = chance.choice(others)
            damaged[place:] = other[chance.randrange(len(other)) :]
        else:
            damaged[place:place] = chance.choice(TOKENS).encode() * chance.choice((1, 1, 1, 3000))
    return bytes(damaged)


def _wrong(load: Callable[[Path], Any], path: Path, written: _Writes) -> str | None:
    """What is wrong with how a file was taken; None if it loaded, or cost one line that names it."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        with written:
            load(path)
    except PocketganError as error:
        line = str(error)
        if "\n" in line or (str(path) not in line and str(path.parent) not in line):
            return f"the line {line!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return f"wrote {written.names}" if written.names else None


class _Writes:
    """Notes, inside its blocks, what is opened for writing or changed on disk. A hook stays for good, so make few."""

    def __init__(self) -> None:
        self.on, self.names = False, list[str]()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in (
            "os.rename",
            "os.remove",
            "os.mkdir",
            "os.rmdir",
            "os.system",
            "subprocess.Popen",
            "socket.connect",
        )
        if self.on and (changes or (event == "open" and set(str(arguments[1])) & set("wax+"))):
            self.names.append(f"{event} {arguments[:1]}")

    def __enter__(self) -> None:
        self.on, self.names = True, []

    def __exit__(self, *error: object) -> None:
        self.on = False


def _picture(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format=kind, **options)
    return buffer.getvalue()


def _pictures() -> list[bytes]:
    colour = RANDOM.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    palette = io.BytesIO()
    Image.fromarray(colour).quantize(8).save(palette, format="PNG")
    made = [
        _picture(PIXELS[0]),
        _picture(colour),
        _picture(PIXELS[0], "JPEG"),
        _picture(colour, "JPEG", progressive=True),
    ]
    return [*made, _picture(PIXELS[0], "GIF"), _picture(colour, "BMP"), palette.getvalue()]


def _idx() -> list[bytes]:
    plain = [idx_header(array.shape) + array.tobytes() for array in (PIXELS, PIXELS[:5])]
    return [*plain, *(gzip.compress(content, mtime=0) for content in plain)]


def _arrays() -> list[bytes]:
    made = []
    for save, arrays in (
        (np.savez, {"images": PIXELS, "labels": np.arange(40) % 4}),
        (np.savez_compressed, {"images": PIXELS, "labels": np.arange(40) % 4, "class_names": np.array(list("abcd"))}),
        (np.savez, {"x_train": PIXELS, "y_train": np.arange(40) % 3, "x_test": PIXELS[:9], "y_test": np.arange(9) % 3}),
    ):
        buffer = io.BytesIO()
        save(buffer, **arrays)
        made.append(buffer.getvalue())
    buffer = io.BytesIO()
    np.save(buffer, PIXELS)
    return [*made, buffer.getvalue()]


def _safetensors() -> list[bytes]:
    random_numbers = torch.Generator().manual_seed(0)
    tensors = {f"layers.{n}.weight": torch.randn(8, 8, generator=random_numbers) for n in range(4)}
    return [
        safetensors.torch.save(tensors),
        safetensors.torch.save({"a": torch.ones(3).half(), "n": torch.tensor(4)}, metadata={"order": '["n", "a"]'}),
    ]


def _tables() -> list[bytes]:
    made = []
    for names in (["file_name", "label"], ["file_name"]):
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(names)
        for number in range(8):
            writer.writerow([f"{number}.png", "cat" if number % 2 else "dog"][: len(names)])
        made.append(buffer.getvalue().encode())
    return made


def _read_toml(path: Path) -> Any:
    return gan_recipe(str(path))


def _read_table(path: Path) -> Any:
    return load_images(path.parent)
