"""What a file is, told by its first bytes and never by its name: for those that are read and those that are not."""

from __future__ import annotations

import io
import json
import zipfile
from typing import NamedTuple

from pocketgan.importing.child import HDF5_MAGIC, TORCH_MAGIC, ZIP_MAGIC

SAVE = "save the state_dict() of its network with torch.save"
PICTURES = {b"\x89PNG\r\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP"}
PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "zstd",
}
ONNX_FIELDS = (b"\x12", b"\x1a", b"\x22", b"\x28", b"\x32", b"\x3a", b"\x42")  # of onnx.proto, behind ir_version


class Kind(NamedTuple):
    """What a file is, in words, and what to do with it where it is not read (else nothing)."""

    what: str
    remedy: str = ""


def kind_of(content: bytes) -> Kind:
    """The kind of a file with this content."""
    if not content:
        return Kind("an empty file", "copy it again")
    if content[8:9] == b"{":
        return Kind("a safetensors file")
    if content.startswith(TORCH_MAGIC):
        return Kind("a file of torch.save")
    if content[:1] == b"\x80" and content[1:2] in b"\x02\x03\x04\x05" and len(content) > 2:
        return Kind("a plain pickle")
    if content.startswith(ZIP_MAGIC):
        return _kind_of_zip(content)
    return _other_kind(content)


def _kind_of_zip(content: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
    except Exception:  # of whatever a stranger's directory says
        return Kind("a damaged zip, perhaps of torch.save", "copy or save it again")
    inner = {name.rpartition("/")[2] for name in names}
    if {"config.json", "model.weights.h5"} <= names:
        return Kind("a Keras archive")
    if "constants.pkl" in inner:
        return Kind("a TorchScript archive, which holds code", f"load it where it was made, and {SAVE}")
    if "data.pkl" in inner:
        return Kind("a file of torch.save")
    if names and all(name.endswith(".npy") for name in names):
        return Kind("an NPZ file of arrays", f"if they are images, give them to `evaluate`; if weights, {SAVE}")
    if "saved_model.pb" in inner:
        return Kind("a zipped TensorFlow SavedModel", "save it by model.save('G.keras')")
    if any(name.endswith((".pkl", ".pt", ".pth", ".safetensors", ".keras", ".h5")) for name in names):
        return Kind("a zip with files of weights in it", "unpack it and import one of them")
    return Kind("a zip without weights", "unpack it and look for the file of weights")


def _other_kind(content: bytes) -> Kind:
    begin, text = content[:400], content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    for table, what, remedy in (
        (PICTURES, "picture", "give a folder of pictures to `evaluate`"),
        (PACKED, "file packed by", "unpack it first"),
    ):
        for magic, name in table.items():
            if begin.startswith(magic):
                return Kind(f"a {name} {what}" if table is PICTURES else f"a {what} {name}", remedy)
    if begin.startswith(HDF5_MAGIC):
        return Kind("an HDF5 file of Keras")
    if begin[4:8] == b"TFL3":
        return Kind("a TensorFlow Lite file", "import the Keras file that it was made from")
    if begin[:1] == b"\x08" and 0 < begin[1] < 32 and begin[2:3] in ONNX_FIELDS:
        return Kind("an ONNX file", f"import what it was made from: {SAVE}")
    if begin.startswith(b"\x93NUMPY"):
        return Kind("a NumPy array", "if it holds images, give it to `evaluate`")
    if content[257:262] == b"ustar":
        return Kind("a tar archive", f"unpack it first; if torch older than 0.4 wrote it, {SAVE}")
    if text.startswith(b"version https://git-lfs"):
        return Kind("a pointer of Git LFS, not the file itself", "fetch it by `git lfs pull`")
    if text[:1] == b"<":
        return Kind("a web page", "download the raw file instead")
    if text[:1] == b"{" and b'"cells"' in content:
        return Kind("a notebook", f"run it, and {SAVE} in its last cell")
    if text[:1] in b"{[" and text and _is_json(content):
        return Kind("a JSON file", "it may describe a network; import the file with its weights")
    if begin[:1] == b"\x80" or begin[:2] in (b"(d", b"(l", b"ci", b"cc", b"co", b"cp", b"c_") or begin[-1:] == b".":
        return Kind("a pickle of an old protocol", f"load it where it was made, and {SAVE}")
    if b"import torch" in content[:65536] or b"nn.Module" in content[:65536]:
        return Kind("Python code", "give it by --networks, beside the file with its weights")
    return Kind("no file of weights that is known here", SAVE)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content[: 1 << 20])
    except (ValueError, RecursionError):
        return False
    return True
