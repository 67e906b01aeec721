"""Point 4: malicious pickles. Each would leave a mark if any of it were run; beside them lie honest files."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from soak.calls import CALLS

MAGIC = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)


class Call:
    """Pickles as a call of a function that need not exist here."""

    def __init__(self, module: str, name: str, arguments: tuple[Any, ...]) -> None:
        self.module, self.name, self.arguments = module, name, arguments

    def reduced(self) -> bytes:
        """GLOBAL, arguments, REDUCE."""
        return f"c{self.module}\n{self.name}\n".encode() + bare(self.arguments) + b"R"

    def stacked(self) -> bytes:
        """STACK_GLOBAL."""
        return bare(self.module) + bare(self.name) + b"\x93" + bare(self.arguments) + b"R"

    def instanced(self) -> bytes:
        """INST, the oldest way."""
        return b"(" + b"".join(map(bare, self.arguments)) + f"i{self.module}\n{self.name}\n".encode()

    def objected(self) -> bytes:
        """OBJ."""
        return b"(" + f"c{self.module}\n{self.name}\n".encode() + b"".join(map(bare, self.arguments)) + b"o"

    def newed(self) -> bytes:
        """NEWOBJ."""
        return f"c{self.module}\n{self.name}\n".encode() + bare(self.arguments) + b"\x81"


WAYS: tuple[Callable[[Call], bytes], ...] = (Call.reduced, Call.stacked, Call.instanced, Call.objected, Call.newed)


def bare(value: Any) -> bytes:
    """Opcodes that put a value on the stack."""
    return pickle.dumps(value, protocol=2)[2:-1]


def malicious(folder: Path) -> dict[str, bytes]:
    """Every kind of malicious file by its name; `folder` is where they would leave their marks."""
    places = {"mark": folder / "mark", "victim": folder / "victim", "script": folder / "script.py", "folder": folder}
    files: dict[str, bytes] = {}
    for number, (module, name, arguments) in enumerate(CALLS):
        call = Call(module, name, _filled(arguments, places))
        way = WAYS[number % len(WAYS)]
        code = b"\x80\x02" + b"}X\x01\x00\x00\x00a" + way(call) + b"s."
        files[f"{module}.{name} by {way.__name__}"] = (zipped, legacy)[number % 2](code)
    mark = Call("os", "system", (f"touch {places['mark']}",))
    tricks = {
        "call after a whole state dict": state_dict()[:-1] + mark.reduced() + b"0.",
        "call in a key": b"\x80\x02}" + mark.reduced() + b"K\x01s.",
        "call in a tuple of a tuple": b"\x80\x02" + mark.reduced() + b"\x85\x85.",
        "call hidden in the memo": b"\x80\x02" + mark.reduced() + b"q\x000}.",
        "call popped": b"\x80\x02" + mark.reduced() + b"0}.",
        "BUILD with __setstate__": b"\x80\x02ccollections\nOrderedDict\n)R}X\x0c\x00\x00\x00__setstate__cos\nsystem\nsbX\x01\x00\x00\x00ab.",
        "BUILD of attributes": b"\x80\x02ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00__class__cos\nsystem\nsb.",
        "extension code": b"\x80\x02\x82\x01.",
        "extension code of four bytes": b"\x80\x02\x84\x01\x00\x00\x00.",
        "persistent id of a call": b"\x80\x02" + mark.reduced() + b"Q.",
        "persistent id as text": b"\x80\x02Pmark\n.",
        "persistent id of a class": b"\x80\x02(X\x07\x00\x00\x00storagecos\nsystem\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.",
        "rebuilt with a call for a storage": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
        + mark.reduced()
        + b"K\x00)(\x89}tR.",
        "dotted name": b"\x80\x02cbuiltins\nobject.__subclasses__\n)R.",
        "name with a line break": b"\x80\x02X\x02\x00\x00\x00osX\x09\x00\x00\x00system\n()\x93.",
        "attribute of torch": b"\x80\x02ctorch\nos.system\n" + bare((f"touch {places['mark']}",)) + b"R.",
        "protocol 255": b"\x80\xff}.",
        "FRAME that lies": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",
        "LONG4 that lies": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "BINBYTES8 that lies": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
        "BINUNICODE that lies": b"\x80\x02X\xff\xff\xff\x7fx.",
        "deep nesting": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
        "doubling": b"\x80\x02]" + b"q\x00(h\x00h\x00e" * 40 + b".",
        "a tuple of itself, doubled": b"\x80\x02K\x01" + b"q\x00h\x00\x86" * 64 + b".",
        "LONG of a million digits": b"\x80\x02L" + b"9" * 1_000_000 + b"L\n.",
        "many marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
        "endless memo": b"\x80\x02}" + b"".join(b"r" + struct.pack("<I", n << 8) for n in range(100_000)) + b".",
        "nothing": b"",
        "no end": b"\x80\x02}",
    }
    files |= {f"{name}, zipped": zipped(code) for name, code in tricks.items()}
    files |= {f"{name}, legacy": legacy(code) for name, code in tricks.items()}
    files |= {f"{name}, plain": code for name, code in tricks.items() if code}
    files |= _archives(mark, folder)
    return files


def _archives(mark: Call, folder: Path) -> dict[str, bytes]:
    call = b"\x80\x02" + mark.reduced() + b"."
    whole = zipped(state_dict())
    old_tar = io.BytesIO()
    with tarfile.open(fileobj=old_tar, mode="w") as archive:
        for name, content in (("pickle", call), ("storages", call), ("tensors", call), ("../../mark", b"x")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    header = b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    plain = struct.pack("<Q", len(header)) + header + bytes(16)
    huge = b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
    over = (
        b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}'
    )
    return {
        "bare pickle": call,
        "bare pickle of protocol 0": b"cos\nsystem\n(S'touch " + str(folder / "mark").encode() + b"'\ntR.",
        "pickle before a zip": call + whole,
        "zip with two data.pkl": zipped(state_dict(), {"archive/data.pkl": call}),
        "zip with code": zipped(
            state_dict(), {"archive/code/__torch__.py": b"import os", "archive/constants.pkl": call}
        ),
        "zip with a path outside": zipped(state_dict(), {"../../mark": b"x", "/tmp/mark": b"x"}),
        "zip whose pickle is a bomb": zipped(bytes(160 << 20), compression=zipfile.ZIP_DEFLATED),
        "zip whose tensor is a bomb": zipped(
            _storage(1 << 33), {"archive/data/0": bytes(160 << 20)}, zipfile.ZIP_DEFLATED
        ),
        "zip of a tensor of stride 0": zipped(_storage(1, 1 << 40), {"archive/data/0": bytes(4)}),
        "zip of a tensor beyond its storage": zipped(_storage(1, 1 << 20, 1), {"archive/data/0": bytes(4)}),
        "zip of another program": zipped(b"", {"word/document.xml": b"<a/>"}),
        "NPZ with a pickle in it": zipped(b"", {"a.npy": b"\x93NUMPY\x01\x00\x16\x00{'descr':'|O','shape':()}" + call}),
        "tar of the oldest torch": old_tar.getvalue(),
        "gzip": b"\x1f\x8b" + call,
        "safetensors before a zip": plain + whole,
        "safetensors that claims a terabyte": struct.pack("<Q", len(huge)) + huge,
        "safetensors of tensors that overlap": struct.pack("<Q", len(over)) + over + bytes(24),
        "safetensors with an endless header": struct.pack("<Q", 1 << 63) + b"{" + bytes(100),
        "HTML": b"<!DOCTYPE html><html>not found</html>",
    }


def state_dict() -> bytes:
    """The pickle of a small state dict, as it lies in a zip."""
    return _storage(4)


def _storage(numel: int, size: int | None = None, stride: int = 0) -> bytes:
    """The pickle of one tensor of `size` numbers on a storage that claims `numel`."""
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + bare(numel) + b"tQ"
    )
    shape = bare((size if size is not None else numel,)) + bare((1 if size is None else stride,))
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + shape + b"\x89ccollections\nOrderedDict\n)RtR"
    )
    return b"\x80\x02}X\x01\x00\x00\x00a" + tensor + b"s."


def zipped(code: bytes, more: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A file as torch.save writes it, with this pickle in it."""
    buffer = io.BytesIO()
    entries = {"archive/data.pkl": code, "archive/data/0": bytes(16), "archive/version": b"3\n"}
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in [*entries.items(), *(more or {}).items()]:
            if name not in (more or {}) or content is (more or {})[name] or name == "archive/data.pkl":
                archive.writestr(name, content)
    return buffer.getvalue()


def legacy(code: bytes) -> bytes:
    """A file as old releases of torch.save wrote it, with this pickle in it."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return (
        MAGIC + pickle.dumps(1001, protocol=2) + pickle.dumps(system, protocol=2) + code + pickle.dumps([], protocol=2)
    )


def _filled(value: Any, places: dict[str, Path]) -> Any:
    """Arguments with the places put in."""
    if isinstance(value, str):
        return value.format(**places)
    if isinstance(value, bytes):
        return value.replace(b"{mark}", str(places["mark"]).encode())
    if isinstance(value, tuple | list):
        return type(value)(_filled(part, places) for part in value)
    return value


def honest() -> list[bytes]:
    """A small network as people save it: its state dict or itself, by torch.save, new or old, or by pickle."""
    network, files = torch.nn.Linear(4, 2), []
    for whole in (network.state_dict(), network):
        for new in (True, False):
            buffer = io.BytesIO()
            torch.save(whole, buffer, _use_new_zipfile_serialization=new)
            files.append(buffer.getvalue())
        files.append(pickle.dumps(whole, protocol=4))
    return files
