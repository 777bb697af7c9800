"""Where the zoo is: its recipes and pretrained presets."""

import pathlib


def zoo_dir() -> pathlib.Path:
    """Returns the folder that holds `recipes/` and `presets/`.

    An installed wheel has it inside the package (setup.py maps it there); a
    source checkout or an editable install has it beside the package.

    Raises:
        FileNotFoundError: if it is in neither place.
    """
    package = pathlib.Path(__file__).resolve().parent
    places = [package / "zoo", package.parent / "zoo"]
    for place in places:
        if (place / "recipes").is_dir():
            return place
    raise FileNotFoundError(
        "The zoo of vqvae_tf is missing. Expected a folder zoo/recipes in "
        f"{package} or {package.parent}. Install the package again."
    )
