"""A conditional pair as students write it: ten numbers for the class, joined to z and to the pixels."""

import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, z_dim=100, num_classes=10):
        super().__init__()
        self.fc1 = nn.Linear(z_dim + num_classes, 256)
        self.fc2 = nn.Linear(256, 784)

    def forward(self, z, y):
        x = torch.relu(self.fc1(torch.cat([z, y], 1)))
        return torch.tanh(self.fc2(x))


class Discriminator(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.fc1 = nn.Linear(784 + num_classes, 256)
        self.fc2 = nn.Linear(256, 1)

    def forward(self, x, y):
        x = torch.nn.functional.leaky_relu(self.fc1(torch.cat([x, y], 1)), 0.2)
        return torch.sigmoid(self.fc2(x))
