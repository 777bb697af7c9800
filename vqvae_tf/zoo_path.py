"""The location of the zoo: recipes and pretrained presets."""

import pathlib


def zoo_dir() -> pathlib.Path:
    """Returns the folder with `recipes/` and `presets/`.

    It is inside the package in an installed wheel (setup.py maps it there),
    and next to the package in a source checkout or an editable install.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    package = pathlib.Path(__file__).resolve().parent
    places = [package / "zoo", package.parent / "zoo"]
    for place in places:
        if (place / "recipes").is_dir():
            return place
    raise FileNotFoundError(
        "The zoo of vqvae_tf is missing. Expected a folder zoo/recipes in "
        f"{package} or {package.parent}. Reinstall the package."
    )
