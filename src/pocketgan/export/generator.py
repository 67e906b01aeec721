"""Rebuilds the generator of config.json and model.safetensors beside this file, with PyTorch alone.

`python generator.py` puts 16 images into images.pt. From Python: `Generator(folder).images(torch.randn(16, 64))`.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn


class Permute(nn.Module):  # the axes of each image in another order
    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, *self.dims)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv2(self.norm2(self.conv1(self.norm1(x).relu())).relu())
        return x + change


class JoinClass(nn.Module):  # a learned vector of the class joins what is there; without a width, its one-hot vector
    def __init__(self, classes: int, width: int | None = None, join: str = "concat") -> None:
        super().__init__()
        self.table, self.join = nn.Embedding(classes, width or classes), join
        if width is None:
            self.table.weight.data = torch.eye(classes)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        told: Tensor = self.table(label)
        if self.join == "multiply":
            return x * told.view_as(x)
        shape = (-1, 1, *x.shape[2:]) if self.join == "channel" else (*told.shape, *[1] * (x.ndim - 2))
        return torch.cat([x, told.view(shape).expand(-1, -1, *x.shape[2:])], 1)


class Clusters(nn.Module):  # the first numbers of z choose a cluster, which is the class for what follows
    def __init__(self, clusters: int, choosing: int) -> None:
        super().__init__()
        self.anchors, self.offsets = nn.Buffer(torch.zeros(clusters, choosing)), nn.Buffer(torch.zeros(clusters))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        first = self.anchors.shape[1]
        label = (z[:, :first] @ self.anchors.T + self.offsets).argmax(1)
        return nn.functional.pad(z[:, first:], (first, 0)), label


OWN = {kind.__name__: kind for kind in (Permute, Residual, JoinClass, Clusters)}  # beside what torch.nn has


class Generator(nn.Module):
    """Latents float32 [N, latent_dim], and classes int64 [N] if "conditional", to images in the "pixel_range"."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
        content, self.layers = bytearray(Path(folder, "model.safetensors").read_bytes()), nn.ModuleList()
        start = 8 + int.from_bytes(content[:8], "little")
        table, types = json.loads(content[8:start]), {"F32": torch.float32, "I64": torch.int64}
        for entry in self.config["layers"]:
            layer = (OWN.get(entry["type"]) or getattr(nn, entry["type"]))(**entry.get("arguments", {}))
            layer = nn.utils.parametrizations.spectral_norm(layer) if entry.get("spectral_norm") else layer
            for name, stored in entry.get("weights", {}).items():  # its weights' names, here and in the file
                begin, end = (start + offset for offset in table[stored]["data_offsets"])
                values = torch.frombuffer(content[begin:end], dtype=types[table[stored]["dtype"]])
                layer.state_dict()[name].copy_(values.reshape(table[stored]["shape"]))
            self.layers.append(layer)
        self.eval()

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            if isinstance(layer, Clusters):
                z, label = layer(z)
            else:
                z = layer(z, label) if isinstance(layer, JoinClass) else layer(z)
        return z.reshape(-1, *self.config["shape"])

    @torch.no_grad()
    def images(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """The images as bytes, uint8 [N, C, H, W]."""
        low, high = self.config["pixel_range"]
        return torch.round((self(z, label) - low) * (255 / (high - low))).clamp(0, 255).to(torch.uint8)


if __name__ == "__main__":
    generator = Generator(Path(__file__).parent)
    z, label = torch.randn(16, generator.config["latent_dim"]), torch.arange(16) % generator.config["classes"]
    torch.save(generator.images(z, label), "images.pt")
