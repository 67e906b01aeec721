"""Pickles read as data: the opcodes build plain values and stand-ins of ours, and no name is ever looked up.

A name in a pickle is one of four things: a function of `CALLS`, which this module does in its own way; a constant of
`CONSTANTS`; a layer, or a class that a user wrote, of which only "an object with a module's state" can be made; or a
reason to refuse the file. Imports nothing of pocketgan but this, since the importer's child has to be small.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
import struct
import sys
import zipfile
from collections.abc import Callable
from typing import IO, Any

import torch

MOST_OBJECTS = 5000  # modules in one file
MOST_DIMENSIONS = 8  # of a tensor
SCALARS = (str, int, float, bool, bytes, type(None))
MODULE_STATE = ("_parameters", "_buffers", "_modules")
DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
STORAGES = {f"torch.{name}Storage": dtype for name, dtype in DTYPES.items()}
CONSTANTS = frozenset(
    [*STORAGES, *(str(dtype) for dtype in DTYPES.values()), "numpy.dtype", "torch.strided", "torch.contiguous_format"]
)
PLAIN_OBJECTS = frozenset(["argparse.Namespace", "torch.nn.utils.spectral_norm.SpectralNorm"])
FAMILIES = ("torch.nn.modules.", "torch.nn.parallel.", "torch.nn.functional.", "torch.ao.nn.", "torchvision.models.")
TAKEN = sys.stdlib_module_names | {"torch", "numpy", "__builtin__", "copy_reg", "cPickle", "torchvision"}


class RefusedError(Exception):
    """The file holds something else than weights."""


class Name:
    """A name that a pickle holds. It is text, and nothing else."""

    def __init__(self, text: str) -> None:
        self.text = text


class Thing:
    """An object of a class that is not loaded: its name, and its attributes once they came."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: dict[str, Any] | None = None

    @property
    def is_module(self) -> bool:
        """Whether it has what every ``torch.nn.Module`` has."""
        return self.state is not None and all(
            isinstance(part := self.state.get(name), dict) and all(isinstance(key, str) for key in part)
            for name in MODULE_STATE
        )


class Storage:
    """Numbers in a row, which may come later than the tensors that they belong to."""

    def __init__(self, dtype: torch.dtype, numel: int) -> None:
        self.dtype, self.numel = dtype, numel
        self.values: torch.Tensor | None = None

    def fill(self, content: bytes) -> None:
        """Take the numbers from bytes, which must be as many as were claimed."""
        if len(content) < self.numel * self.dtype.itemsize:
            raise RefusedError("one of its tensors claims more numbers than the file has")
        self.values = torch.frombuffer(content, dtype=self.dtype, count=self.numel) if self.numel else torch.empty(0)


class View:
    """A tensor that is not made yet: a storage, and where in it the numbers lie."""

    def __init__(self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    @property
    def nbytes(self) -> int:
        """What it takes once it is a tensor of its own."""
        return math.prod(self.size) * self.storage.dtype.itemsize

    def tensor(self) -> torch.Tensor:
        """The tensor, on the storage's memory."""
        if self.storage.values is None:
            raise RefusedError("one of its tensors has no numbers")
        return self.storage.values.as_strided(self.size, self.stride, self.offset)


class Dtype:
    """NumPy's type of a number, by its letters."""

    def __init__(self, letters: str) -> None:
        self.letters = letters


def _ordered(*given: Any) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for pair in _one(given, list) if given else []:
        key, value = pair
        made[_key(key)] = value
    return made


def _one(given: tuple[Any, ...], kind: type) -> Any:
    if len(given) != 1 or type(given[0]) is not kind:
        raise RefusedError("it calls a known function with arguments of another kind")
    return given[0]


def _key(value: Any) -> Any:
    """A key of a dictionary, which must be cheap to compare."""
    flat = value if type(value) is tuple else (value,)
    if not all(isinstance(part, SCALARS) for part in flat):
        raise RefusedError("it holds a dictionary or a set with keys that weights never have")
    return value


def _set(*given: Any) -> set[Any]:
    return {_key(part) for part in _one(given, list)}


def _encoded(*given: Any) -> bytes:
    if len(given) != 2 or type(given[0]) is not str or given[1] not in ("latin1", "latin-1"):
        raise RefusedError("it encodes text in an unusual way")
    return given[0].encode("latin-1")


def _rebuilt(*given: Any) -> View:
    """``torch._utils._rebuild_tensor_v2``: storage, offset, size, stride, and what only training needs."""
    if len(given) not in (6, 7):
        raise RefusedError("it holds a tensor of an unusual form")
    storage, offset, size, stride = given[:4]
    numbers = (offset, *size, *stride) if type(size) is type(stride) is tuple else ("",)
    if type(storage) is not Storage or any(type(number) is not int or number < 0 for number in numbers):
        raise RefusedError("it holds a tensor of an unusual form")
    if len(size) != len(stride) or len(size) > MOST_DIMENSIONS:
        raise RefusedError("it holds a tensor of an unusual form")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.numel:
        raise RefusedError(f"one of its tensors needs {last + 1:,} numbers of a storage that has {storage.numel:,}")
    return View(storage, offset, size, stride)


def _parameter(*given: Any) -> View:
    if len(given) not in (3, 4) or type(given[0]) is not View:
        raise RefusedError("it holds a parameter of an unusual form")
    return given[0]


def _from_bytes(*given: Any) -> Storage:
    """``torch.storage._load_from_bytes``: a storage as a file of its own inside the pickle."""
    try:
        loaded = torch.load(io.BytesIO(_one(given, bytes)), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception:  # whatever the unpickler meets
        raise RefusedError("one of its tensors' storages is damaged, or no storage") from None
    if not isinstance(loaded, torch.storage.TypedStorage) or loaded.dtype not in DTYPES.values():
        raise RefusedError("one of its tensors' storages holds something else")
    held = loaded._untyped_storage  # the public ways to it warn
    storage = Storage(loaded.dtype, held.nbytes() // loaded.dtype.itemsize)
    storage.values = torch.empty(0, dtype=loaded.dtype).set_(held, 0, (storage.numel,))  # type: ignore[call-overload]
    return storage


def _size(*given: Any) -> tuple[Any, ...]:
    return tuple(_one(given, tuple))


def _device(*given: Any) -> str:
    if not all(type(part) in (str, int) for part in given):
        raise RefusedError("it names a device in an unusual way")
    return ":".join(str(part)[:20] for part in given[:2])


def _dtype(*given: Any) -> Dtype:
    return Dtype(given[0] if given and type(given[0]) is str else "")


def _number(*given: Any) -> int | float:
    """A NumPy number: its type and its bytes."""
    codes = {"i8": "<q", "i4": "<i", "i2": "<h", "i1": "<b", "u1": "<B", "f8": "<d", "f4": "<f", "b1": "<?"}
    if len(given) != 2 or type(given[0]) is not Dtype or type(given[1]) is not bytes:
        raise RefusedError("it holds a NumPy number of an unusual form")
    code = codes.get(given[0].letters)
    if code is None or len(given[1]) != struct.calcsize(code):
        raise RefusedError("it holds a NumPy number of an unusual type")
    value: int | float = struct.unpack(code, given[1])[0]
    return value


CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "builtins.bytes": bytes,
    "__builtin__.bytes": bytes,
    "_codecs.encode": _encoded,
    "torch._utils._rebuild_tensor_v2": _rebuilt,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.storage._load_from_bytes": _from_bytes,
    "torch.Size": _size,
    "torch.device": _device,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray.scalar": _number,
    "numpy._core.multiarray.scalar": _number,
}


def _named(module: Any, name: Any) -> Name:
    """A name of the allow-list."""
    if type(module) is not str or type(name) is not str:
        raise RefusedError("it names something in an unusual way")
    text = f"{module}.{name}"
    if text in CALLS or text in CONSTANTS or text in PLAIN_OBJECTS:
        return Name(text)
    plain = all(part.isidentifier() and not part.startswith("__") for part in module.split(".") if part != "__main__")
    if not plain or not name.isidentifier() or name.startswith("__"):
        raise RefusedError(f"it names {text[:80]!r}, which weights never need")
    if not text.startswith(FAMILIES) and module.partition(".")[0] in TAKEN:
        raise RefusedError(f"it names {text[:80]}, which weights never need")
    return Name(text)


def _called(function: Any, given: Any) -> Any:
    if type(function) is not Name or type(given) is not tuple:
        raise RefusedError("it calls something that has no name")
    if function.text not in CALLS:
        raise RefusedError(f"it calls {function.text[:80]}, which weights never need")
    if function.text.endswith(".bytes") and given:
        raise RefusedError("it calls bytes with arguments")
    return CALLS[function.text](*given)


class Reader:
    """Reads one pickle after the other from an open file.

    Parameters
    ----------
    file
        Where they lie.
    persistent
        What stands for a persistent id; None where there must be none.
    """

    def __init__(self, file: IO[bytes], persistent: Callable[[Any], Any] | None = None) -> None:
        self.file, self.persistent = file, persistent
        self.things: list[Thing] = []

    def read(self) -> Any:
        """The value of the next pickle.

        Raises
        ------
        RefusedError
            It holds more than weights and modules.
        """
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        for opcode, argument, _ in pickletools.genops(self.file):
            if opcode.name == "STOP":
                break
            self._do(opcode.name, argument)
        for thing in self.things:
            if thing.state is None:
                raise RefusedError(f"it holds {thing.name[:80]} without a network's weights")
        if len(self.stack) != 1 or self.marks:
            raise RefusedError("it is damaged")
        value = self.stack.pop()
        self.memo.clear()
        return value

    def _do(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                if name == "PROTO" and argument > 5:
                    raise RefusedError(f"it is a pickle of protocol {argument}, newer than any that is known")
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "INT" | "BININT" | "BININT1" | "BININT2" | "LONG" | "LONG1" | "LONG4" | "FLOAT" | "BINFLOAT":
                stack.append(argument)
            case "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                stack.append(argument)
            case "STRING" | "BINSTRING" | "SHORT_BINSTRING" | "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8":
                stack.append(argument)
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_SET":
                stack.append(set())
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE" | "LIST" | "FROZENSET" | "DICT":
                self._gathered(name)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop(int(name[-1]))))
            case "APPEND":
                (value,) = self._pop(1)
                self._top(list).append(value)
            case "APPENDS":
                values = self._since_mark()
                self._top(list).extend(values)
            case "ADDITEMS":
                values = self._since_mark()
                self._top(set).update(map(_key, values))
            case "SETITEM":
                key, value = self._pop(2)
                self._top(dict)[_key(key)] = value
            case "SETITEMS":
                values = self._since_mark()
                self._top(dict).update(_pairs(values))
            case "POP" | "POP_MARK" | "DUP":
                self._moved(name)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self._top()
            case "MEMOIZE":
                self.memo[len(self.memo)] = self._top()
            case "GET" | "BINGET" | "LONG_BINGET":
                if argument not in self.memo:
                    raise RefusedError("it is damaged")
                stack.append(self.memo[argument])
            case "GLOBAL":
                module, _, own = argument.partition(" ")
                stack.append(_named(module, own))
            case "STACK_GLOBAL":
                stack.append(_named(*self._pop(2)))
            case "REDUCE":
                stack.append(_called(*self._pop(2)))
            case "NEWOBJ":
                stack.append(self._made(*self._pop(2)))
            case "BUILD":
                self._built(*self._pop(1))
            case "BINPERSID" if self.persistent is not None:
                stack.append(self.persistent(*self._pop(1)))
            case _:
                raise RefusedError(f"it uses the pickle instruction {name}, which weights never need")

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise RefusedError("it is damaged")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def _top(self, kind: type | None = None) -> Any:
        if not self.stack or (kind is not None and type(self.stack[-1]) is not kind):
            raise RefusedError("it changes something that is no list, dictionary or set")
        return self.stack[-1]

    def _since_mark(self) -> list[Any]:
        if not self.marks:
            raise RefusedError("it is damaged")
        begin = self.marks.pop()
        values = self.stack[begin:]
        del self.stack[begin:]
        return values

    def _gathered(self, name: str) -> None:
        values = self._since_mark()
        made: Any = values
        if name == "TUPLE":
            made = tuple(values)
        elif name == "FROZENSET":
            made = set(map(_key, values))
        elif name == "DICT":
            made = _pairs(values)
        self.stack.append(made)

    def _moved(self, name: str) -> None:
        if name == "DUP":
            self.stack.append(self._top())
        elif name == "POP_MARK" or (self.marks and self.marks[-1] == len(self.stack)):
            self._since_mark()
        else:
            self._pop(1)

    def _made(self, kind: Any, given: Any) -> Thing:
        """An object without attributes, of a class that is only a name."""
        if type(kind) is not Name or kind.text in CALLS or kind.text in CONSTANTS:
            raise RefusedError("it makes an object of something that is no class")
        if given != ():
            raise RefusedError(f"it makes a {kind.text[:80]} from arguments, as networks are not made")
        if len(self.things) >= MOST_OBJECTS:
            raise RefusedError(f"it holds more than {MOST_OBJECTS:,} modules")
        self.things.append(Thing(kind.text))
        return self.things[-1]

    def _built(self, state: Any) -> None:
        """BUILD: attributes for the object on the top."""
        target = self._top()
        if type(target) is dict and type(state) is dict and set(state) <= {"_metadata"}:
            return  # of a state dict: versions of its layers
        if type(target) is Dtype and type(state) is tuple:
            return
        if type(target) is not Thing or type(state) is not dict or target.state is not None:
            raise RefusedError("it gives attributes to something that is no network")
        if not all(type(name) is str for name in state):
            raise RefusedError("it gives attributes without names")
        target.state = state
        if target.name not in PLAIN_OBJECTS and not target.is_module:
            raise RefusedError(f"it holds a {target.name[:80]}, not a PyTorch network")


def _pairs(values: list[Any]) -> dict[Any, Any]:
    if len(values) % 2:
        raise RefusedError("it is damaged")
    return {_key(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def read_plain(file: IO[bytes]) -> Any:
    """What ``pickle.dump`` wrote."""
    value = Reader(file).read()
    if file.read(1):
        raise RefusedError("more follows its first pickle; save each network in a file of its own")
    return value


def _storage_named(told: Any, words: int) -> tuple[torch.dtype, str, int]:
    """Type, key and length in a persistent id of torch's."""
    if type(told) is not tuple or len(told) != words or told[0] != "storage" or type(told[1]) is not Name:
        raise RefusedError("it refers to something outside that is no storage")
    dtype, key, numel = STORAGES.get(told[1].text), told[2], told[4]
    if dtype is None or type(key) is not str or type(numel) is not int or not 0 <= numel < 1 << 40:
        raise RefusedError("it refers to a storage in an unusual way")
    return dtype, key, numel


def read_zip(file: IO[bytes], size: int) -> Any:
    """What ``torch.save`` writes: a zip with the pickle and the numbers, none of it compressed."""
    with zipfile.ZipFile(file) as archive:
        pickles = [info.filename for info in archive.infolist() if re.fullmatch(r"[^/]+/data\.pkl", info.filename)]
        if len(pickles) != 1:
            raise RefusedError("it holds no pickle of torch.save, or more than one")
        root = pickles[0].partition("/")[0]
        known: dict[str, Storage] = {}

        def record(name: str) -> bytes:
            try:
                info = archive.getinfo(f"{root}/{name}")
            except KeyError:
                raise RefusedError("the numbers of one of its tensors are missing") from None
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
                raise RefusedError("it is compressed, or claims more than it has")
            return archive.read(info)

        if f"{root}/byteorder" in archive.namelist() and record("byteorder") != b"little":
            raise RefusedError("its numbers are laid out for another kind of processor")

        def persistent(told: Any) -> Storage:
            dtype, key, numel = _storage_named(told, 5)
            if key not in known:
                known[key] = Storage(dtype, numel)
                known[key].fill(record(f"data/{key}"))
            if (known[key].dtype, known[key].numel) != (dtype, numel):
                raise RefusedError("it names one storage in two ways")
            return known[key]

        return Reader(io.BytesIO(record("data.pkl")), persistent).read()


def read_legacy(file: IO[bytes]) -> Any:
    """What ``torch.save`` wrote before version 1.6: five pickles, then the numbers."""
    known: dict[str, Storage] = {}

    def persistent(told: Any) -> Any:
        if type(told) is tuple and len(told) == 4 and told[0] == "module" and type(told[1]) is Name:
            return told[1]  # a class, with its source, which is not looked at
        if type(told) is not tuple or len(told) != 6 or told[5] is not None:
            raise RefusedError("it refers to a storage in an unusual way")
        dtype, key, numel = _storage_named(told, 6)
        known.setdefault(key, Storage(dtype, numel))
        if (known[key].dtype, known[key].numel) != (dtype, numel):
            raise RefusedError("it names one storage in two ways")
        return known[key]

    for _ in range(3):  # magic number, protocol, the machine that wrote it
        Reader(file).read()
    value = Reader(file, persistent).read()
    keys = Reader(file).read()
    if type(keys) is not list or not all(type(key) is str for key in keys) or len(set(keys)) != len(keys):
        raise RefusedError("it is damaged")
    if set(keys) != set(known):
        raise RefusedError("the numbers of one of its tensors are missing")
    for key in keys:
        if int.from_bytes(file.read(8), "little") != known[key].numel:
            raise RefusedError("it is damaged")
        known[key].fill(file.read(known[key].numel * known[key].dtype.itemsize))
    return value


def weights_of(module: Thing) -> dict[str, View]:
    """A module's state dict: parameters and buffers in torch's order."""
    found: dict[str, View] = {}
    for prefix, part in _parts_of(module):
        found |= {prefix + name: value for name, value in _own(part).items()}
    return found


def _own(module: Thing) -> dict[str, View]:
    """Parameters and kept buffers of a module itself."""
    assert module.state is not None, "a file with an object without attributes is refused"
    temporary = module.state.get("_non_persistent_buffers_set", ())
    kept = dict(module.state["_parameters"])
    kept |= {name: value for name, value in module.state["_buffers"].items() if name not in temporary}
    for name, value in kept.items():
        if value is not None and type(value) is not View:
            raise RefusedError(f"its parameter {name[:40]!r} is no tensor")
    return {name: value for name, value in kept.items() if value is not None}


def _parts_of(module: Thing) -> list[tuple[str, Thing]]:
    """A module and all modules in it, each with the prefix of its tensors' names, in torch's order."""
    listed: list[tuple[str, Thing]] = []
    waiting = [("", module)]
    while waiting:
        prefix, one = waiting.pop()
        listed.append((prefix, one))
        if len(listed) > MOST_OBJECTS or len(prefix) > 1000:
            raise RefusedError("its modules hold one another in a circle, or too many")
        for name, part in reversed(_inner(one).items()):
            waiting.append((f"{prefix}{name}.", part))
    return listed


def _inner(module: Thing) -> dict[str, Thing]:
    """The modules that a module holds itself."""
    assert module.state is not None, "a file with an object without attributes is refused"
    inner = {name: part for name, part in module.state["_modules"].items() if part is not None}
    for name, part in inner.items():
        if not (type(part) is Thing and part.is_module):
            raise RefusedError(f"its part {name[:40]!r} is no module")
    return inner


def tree_of(module: Thing) -> dict[str, Any]:
    """A module as plain data: its class, its settings (numbers and words), its parts in order; for JSON."""
    _parts_of(module)  # which refuses what is endless
    return _described(module)


def _described(module: Thing) -> dict[str, Any]:
    assert module.state is not None, "a file with an object without attributes is refused"
    settings = {name: value for name, value in module.state.items() if name[:1] != "_" and _is_setting(value)}
    hooked = any(module.state.get(name) for name in ("_forward_hooks", "_forward_pre_hooks"))
    parts = {name: _described(part) for name, part in _inner(module).items()}
    return {"class": module.name, "settings": settings, "hooked": hooked, "owns": list(_own(module)), "parts": parts}


def _is_setting(value: Any) -> bool:
    if type(value) in (tuple, list):
        return len(value) <= 8 and all(type(part) in (int, float, str, bool) for part in value)
    return type(value) in (int, float, bool, type(None)) or (type(value) is str and len(value) <= 80)
