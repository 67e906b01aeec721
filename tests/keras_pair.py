"""Makes `keras_pair.zip`: models of Keras' own, with what they compute. Run once, where Keras is:

python -m venv peers && peers/bin/pip install keras jax h5py && peers/bin/python tests/keras_pair.py
"""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from keras import layers

PAIR = Path(__file__).parent / "keras_pair.zip"


def generator() -> Any:
    return keras.Sequential(
        [
            keras.Input((10,)),
            *[layers.Dense(7 * 7 * 4, use_bias=False), layers.BatchNormalization(), layers.LeakyReLU(0.3)],
            layers.Reshape((7, 7, 4)),
            layers.Conv2DTranspose(6, 5, strides=1, padding="same", use_bias=False),
            *[layers.BatchNormalization(momentum=0.8, epsilon=1e-4, scale=False), layers.LeakyReLU()],
            *[layers.Conv2DTranspose(4, 4, strides=2, padding="same"), layers.Activation("relu")],
            *[layers.Conv2DTranspose(3, 5, strides=2, padding="same", activation="elu"), layers.Dropout(0.2)],
            layers.Conv2D(1, 4, padding="same", activation="tanh"),
        ]
    )


def discriminator() -> Any:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *[
                layers.Conv2D(4, 5, strides=2, padding="same"),
                layers.LeakyReLU(negative_slope=0.2),
                layers.Dropout(0.3),
            ],
            *[layers.Conv2D(6, 4, strides=2, padding="same", activation="relu"), layers.MaxPooling2D()],
            *[layers.Flatten(), layers.Dense(1, activation="sigmoid")],
        ]
    )


def nested() -> Any:
    """A Sequential in a functional model, as Keras-GAN has them."""
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(98, activation="relu"), layers.BatchNormalization(), layers.Reshape((7, 7, 2))]
    )
    latent = keras.Input((6,))
    grown = layers.UpSampling2D()(layers.Conv2D(3, 3, padding="same")(layers.UpSampling2D()(inner(latent))))
    return keras.Model(latent, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(grown))


def main() -> None:
    """Write the archive."""
    keras.utils.set_random_seed(3)
    chance, expected = np.random.default_rng(0), {}
    with zipfile.ZipFile(PAIR, "w", zipfile.ZIP_DEFLATED) as archive, tempfile.TemporaryDirectory() as folder:
        for name, model in (("G", generator()), ("D", discriminator()), ("nested", nested())):
            for weight in model.weights:
                if "variance" in weight.path:
                    weight.assign(chance.uniform(0.5, 2.0, weight.shape))
                elif len(weight.shape) == 1:
                    weight.assign(chance.normal("gamma" in weight.path, 0.3, weight.shape))
            given = chance.uniform(-1, 1, (3, *model.input_shape[1:])).astype("float32")
            made = model.predict(given, verbose=0)
            for key, value in (("given", given), ("made", made)):
                expected[f"{name}_{key}"] = value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
            for ending in ("keras", "h5"):
                path = Path(folder) / f"{name}.{ending}"
                model.save(path)
                archive.write(path, path.name)
        buffer = io.BytesIO()
        np.savez(buffer, **expected)
        archive.writestr("expected.npz", buffer.getvalue())


if __name__ == "__main__":
    main()
