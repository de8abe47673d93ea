"""``python -m eo_contrast`` is ``eo-contrast``."""

from eo_contrast.cli import main

if __name__ == "__main__":
    main(prog_name="eo-contrast")
