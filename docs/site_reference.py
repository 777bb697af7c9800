"""Pages of the reference: one for each public name, found by its subpackage.

A subpackage's public names are those of its `__all__`. A name that several
have, such as `VectorQuantizer`, has its page where it is defined.
"""

import importlib
import inspect
import pathlib
import re

TITLES = {
    "vqvae_tf": "the most used names",
    "vqvae_tf.quantizers": "latents to codes and back",
    "vqvae_tf.layers": "layers for Keras models",
    "vqvae_tf.bottlenecks": "what an autoencoder has in a quantizer's place",
    "vqvae_tf.networks": "encoders, decoders and other networks",
    "vqvae_tf.densities": "likelihoods and priors",
    "vqvae_tf.models": "whole models",
    "vqvae_tf.data": "batches of pictures, recordings, episodes, sequences",
    "vqvae_tf.evaluation": "figures on held-out data",
    "vqvae_tf.presets": "folders of trained models",
    "vqvae_tf.recipes": "configurations of trainings",
    "vqvae_tf.export": "SavedModels",
}


def public_names(namespace):
    """Returns the classes and functions of a subpackage, by their names."""
    module = importlib.import_module(namespace)
    found = {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in sorted(found.items())
        if inspect.isclass(value) or inspect.isfunction(value)
    }


def home_of(name, value, namespace):
    """Returns the subpackage in whose reference a name has its page."""
    inside = [
        each
        for each in TITLES
        if f"{value.__module__}.".startswith(f"{each}.")
        and name in importlib.import_module(each).__all__
    ]
    return max(inside, key=len, default=namespace)


def write_pages(folder):
    """Writes a page of tables for each subpackage, and one of all of these."""
    folder.mkdir(exist_ok=True)
    for page in folder.rglob("vqvae_tf*.rst"):
        page.unlink()  # of former names
    for namespace, title in TITLES.items():
        places = [
            f"{home_of(name, value, namespace)}.{name}"
            for name, value in public_names(namespace).items()
        ]
        lines = [f"{namespace}: {title}", "=" * 80, ""]
        lines += [".. autosummary::", "   :toctree: names", "   :nosignatures:"]
        lines += ["", *(f"   {place}" for place in places), ""]
        (folder / f"{namespace}.rst").write_text("\n".join(lines))


def skip(app, kind, name, value, skips, options):
    """Leaves out members that come from Keras."""
    own = value.fget if isinstance(value, property) else inspect.unwrap(value)
    module = str(getattr(own, "__module__", None))
    if inspect.isroutine(own) and not module.startswith("vqvae_tf"):
        return True
    return None


def signature(app, kind, name, value, options, arguments, returns):
    """Shows the constructor's arguments; Keras hides them by its `__new__`."""
    if kind != "class" or "__init__" not in value.__dict__:
        return None
    found = inspect.signature(value.__init__)
    named = list(found.parameters.values())[1:]
    bare = [each.replace(annotation=each.empty) for each in named]
    shown = found.replace(
        parameters=bare, return_annotation=inspect.Signature.empty
    )
    return str(shown), None


def reference_of(role, text, *others, **options):
    """A docstring's name in backticks: a link if it is a class of ours."""
    from docutils.nodes import literal
    from sphinx.domains.python import PyXRefRole

    if not re.fullmatch(r"[A-Z]\w+", text.strip("`")):
        return [literal(text, text.strip("`"))], []
    find = PyXRefRole()
    nodes, messages = find("py:obj", text, *others, **options)
    for node in nodes:
        node["refspecific"] = True
    return nodes, messages


def setup(app):
    # Before Sphinx looks which pages there are.
    app.connect(
        "config-inited",
        lambda app, config: write_pages(pathlib.Path(app.srcdir) / "reference"),
    )
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-signature", signature)
    app.add_role("name", reference_of)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
