"""Point 4: malicious pickles that hide behind the names which the importer's own reader of pickles allows."""

from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path

import torch

from soak.gadgets import Call, bare, legacy, state_dict, zipped

TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
LINEAR = b"ctorch.nn.modules.linear\nLinear\n"
MINE = b"c__main__\nGenerator\n"
ORDERED = b"ccollections\nOrderedDict\n"
FROM_BYTES = b"ctorch.storage\n_load_from_bytes\n"
EMPTY = b"X\x0b\x00\x00\x00_parameters}X\x08\x00\x00\x00_buffers}"  # of a module's attributes; _modules comes after


def storage_bytes(numbers: int) -> bytes:
    """A storage as it lies in a plain pickle: a file of torch.save's older kind."""
    buffer = io.BytesIO()
    torch.save(torch.zeros(numbers)._typed_storage(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def _storage(content: bytes) -> bytes:
    return FROM_BYTES + bare_bytes(content) + b"\x85R"


def bare_bytes(value: bytes) -> bytes:
    """BINBYTES."""
    return b"B" + struct.pack("<I", len(value)) + value


def _tensor(offset: bytes, size: bytes, stride: bytes, storage: bytes | None = None) -> bytes:
    """A tensor of four numbers' storage, whose offset, size and stride are opcodes."""
    inner = _storage(storage_bytes(4)) if storage is None else storage
    return TENSOR + b"(" + inner + offset + size + stride + b"\x89" + ORDERED + b")RtR"


def _module(name: bytes, parts: bytes) -> bytes:
    """An object with a module's state; `parts` are the opcodes that make its `_modules`."""
    return name + b")\x81}(" + EMPTY + b"X\x08\x00\x00\x00_modules" + parts + b"ub"


def hidden(folder: Path) -> dict[str, bytes]:
    """Plain pickles by their kinds, and files of torch.save with the same inside."""
    mark = Call("os", "system", (f"touch {folder / 'mark'}",)).reduced()
    text = bare(f"touch {folder / 'mark'}")
    numbers = bare((4,)), bare((1,))
    doubled = b"K\x01" + b"q\x00h\x00\x86" * 64
    whole = pickle.dumps(torch.nn.Linear(4, 2), protocol=2)[2:-1]
    values = {  # opcodes that leave one value
        "qualified name of an allowed class": bare("torch.nn.modules.linear") + bare("Linear.__init__") + b"\x93)R",
        "qualified name into another module": bare("torch.nn.modules.module") + bare("os.system") + b"\x93" + text + b"\x85R",
        "name with a dot in its module": bare("torch.nn.modules..os") + bare("system") + b"\x93" + text + b"\x85R",
        "private name of an allowed package": bare("torch.nn.modules.linear") + bare("__builtins__") + b"\x93",
        "function of an allowed package": b"ctorch.nn.modules.utils\n_ntuple\n" + text + b"\x85R",
        "function of nn.functional called": b"ctorch.nn.functional\nhandle_torch_function\n" + text + b"\x85R",
        "layer made by a call": LINEAR + b"(K\x04K\x02tR",
        "user's class made by a call": MINE + text + b"\x85R",
        "layer made with arguments": LINEAR + b"(K\x04K\x02t\x81",
        "layer made with keywords": LINEAR + b")}\x92",
        "layer made by INST": b"(K\x04K\x02itorch.nn.modules.linear\nLinear\n",
        "layer made by OBJ": b"(" + LINEAR + b"K\x04K\x02o",
        "function made as an object": b"cos\nfork\n)\x81",
        "user's class named as a module of Python": b"ccode\ninteract\n)\x81",
        "user's class that is no network": MINE + b")\x81}X\x01\x00\x00\x00aK\x01sb",
        "user's class with attributes in slots": MINE + b")\x81N}\x86b",
        "user's class without attributes": MINE + b")\x81",
        "user's class with a hostile attribute": MINE + b")\x81}(" + EMPTY + b"X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00a" + mark + b"ub",
        "attributes for a class": MINE + b"}X\x0a\x00\x00\x00__reduce__K\x01sb",
        "attributes for a function": TENSOR + b"}b",
        "attributes for a list": b"]}b",
        "attributes for a dictionary": b"}}X\x05\x00\x00\x00itemsK\x01sb",
        "attributes twice": _module(MINE, b"}") + b"}b",
        "items for a module": _module(MINE, b"}") + b"K\x01K\x02s",
        "list lengthened that is a name": MINE + b"K\x01a",
        "allowed function with a call inside": ORDERED + b"]" + mark + b"a\x85R",
        "OrderedDict of text": ORDERED + text + b"\x85R",
        "OrderedDict of pairs that are none": ORDERED + b"]K\x01a\x85R",
        "OrderedDict as a class": ORDERED + b")\x81",
        "set of a doubled tuple": b"c__builtin__\nset\n]" + doubled + b"a\x85R",
        "key that is a doubled tuple": b"}" + doubled + b"K\x01s",
        "bytes of a number": b"c__builtin__\nbytes\n" + bare(1 << 40) + b"\x85R",
        "text by another codec": b"c_codecs\nencode\n" + text + bare("idna") + b"\x86R",
        "text by a codec that packs": b"c_codecs\nencode\n" + text + bare("bz2") + b"\x86R",
        "codecs' other functions": b"c_codecs\nlookup\n" + text + b"\x85R",
        "device of a doubled tuple": b"ctorch\ndevice\n" + doubled + b"\x85R",
        "size of a call": b"ctorch\nSize\n" + mark + b"\x85R",
        "NumPy number of objects": b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87R" + bare_bytes(b"12345678") + b"\x86R",
        "NumPy array of objects": b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + bare_bytes(b"b") + b"\x87R",
        "storage that is a call": _storage(legacy(b"\x80\x02" + mark + b".")),
        "storage that is a zip with a call": _storage(zipped(b"\x80\x02" + mark + b".")),
        "storage that is a plain call": _storage(b"\x80\x02" + mark + b"."),
        "storage that is a state dict": _tensor(b"K\x00", *numbers, storage=_storage(legacy(state_dict()))),
        "storage that is cut": _tensor(b"K\x00", *numbers, storage=_storage(storage_bytes(4)[:-8])),
        "storage that claims a terabyte": _storage(storage_bytes(4).replace(b"K\x04N", b"\x8a\x06" + struct.pack("<Q", 1 << 38)[:6] + b"N")),
        "storage inside a storage": _storage(legacy(b"\x80\x02" + _storage(storage_bytes(4)) + b".")),
        "storage of text": FROM_BYTES + text + b"\x85R",
        "tensor beyond its storage": _tensor(b"K\x00", bare((5,)), bare((1,))),
        "tensor behind its storage": _tensor(b"K\x04", *numbers),
        "tensor before its storage": _tensor(bare(-4), *numbers),
        "tensor of negative strides": _tensor(b"K\x03", bare((4,)), bare((-1,))),
        "tensor of negative size": _tensor(b"K\x00", bare((-1,)), bare((1,))),
        "tensor of stride 0": _tensor(b"K\x00", bare((1 << 40,)), bare((0,))),
        "tensor whose size overflows": _tensor(b"K\x00", bare((1 << 62, 4)), bare((0, 0))),
        "tensor of a thousand dimensions": _tensor(b"K\x00", bare((1,) * 1000), bare((0,) * 1000)),
        "tensor of sizes that are no numbers": _tensor(b"K\x00", b"(" + mark + b"t", bare((1,))),
        "tensor of a doubled size": _tensor(b"K\x00", doubled, bare((1,))),
        "tensor of a name": TENSOR + b"(" + MINE + b"K\x00" + b"".join(numbers) + b"\x89}tR",
        "tensor with hooks that call": TENSOR + b"(" + _storage(storage_bytes(4)) + b"K\x00" + b"".join(numbers) + b"\x89" + mark + b"tR",
        "parameter of a name": b"ctorch._utils\n_rebuild_parameter\n(" + MINE + b"\x88}tR",
        "tensor of another form": b"ctorch._utils\n_rebuild_device_tensor_from_numpy\n(" + text + b"tR",
        "tensor by torch's own hook": b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\ncos\nsystem\n)}tR",
        "memo that is not there": b"h\x07",
        "memo that changes what is called": ORDERED + b"q\x000" + b"cos\nsystem\nq\x000h\x00" + text + b"\x85R",
        "module that holds itself": MINE + b")\x81q\x01}(" + EMPTY + b"X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00ah\x01sub",
        "modules doubled": _module(MINE, b"}") + b"".join(
            b"q\x020" + _module(MINE, b"}(X\x01\x00\x00\x00ah\x02X\x01\x00\x00\x00bh\x02u") for _ in range(36)),
        "module whose parts are names": _module(MINE, b"}X\x01\x00\x00\x00a" + LINEAR + b"s"),
        "module whose parts are text": _module(MINE, b"}X\x01\x00\x00\x00a" + text + b"s"),
        "module whose parts are a list": _module(MINE, b"]"),
        "module without weights": _module(MINE, b"}"),
        "buffer from outside": b"\x97",
        "byte array that lies": b"\x96" + struct.pack("<Q", 1 << 62) + b"x",
        "persistent id of a known form": b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ",
    }  # fmt: skip
    files = {f"{name}, plain": b"\x80\x04}X\x01\x00\x00\x00a" + code + b"s." for name, code in values.items()}
    outer = [name for name in values if name != "persistent id of a known form"][::3]
    files |= {f"{name}, in a zip": zipped(b"\x80\x02}X\x01\x00\x00\x00a" + values[name] + b"s.") for name in outer}
    files |= {f"{name}, legacy": legacy(b"\x80\x02}X\x01\x00\x00\x00a" + values[name] + b"s.") for name in outer}
    named = torch.nn.Linear(4, 2)
    named.call = os.system
    return files | {
        "network with a function of Python's own as an attribute, plain": pickle.dumps(named, protocol=4),
        "call after a whole module": b"\x80\x02" + whole + mark + b"0.",
        "call in a second pickle": b"\x80\x02" + whole + b".\x80\x02" + mark + b".",
        "whole module before a zip": b"\x80\x02" + whole + b"." + zipped(state_dict()),
        "whole module and a stray mark": b"\x80\x02(" + whole + b".",
        "numbers of a whole module missing": zipped(_module_of_torch(), {"archive/data/0": b""}),
        "persistent module that is a call": legacy(b"\x80\x02(X\x06\x00\x00\x00module" + mark + text + text + b"tQ."),
    }


def _module_of_torch() -> bytes:
    """The pickle inside a zip that holds a whole module, whose tensor has four numbers."""
    parameter = b"}X\x01\x00\x00\x00w" + state_dict()[2 + 1 + 6 : -2] + b"s"
    state = b"}(X\x0b\x00\x00\x00_parameters" + parameter + b"X\x08\x00\x00\x00_buffers}X\x08\x00\x00\x00_modules}ub"
    return b"\x80\x02" + LINEAR + b")\x81" + state + b"."
