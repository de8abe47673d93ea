"""``eo-contrast search``: the images most like one."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, output_options, overwrite_option


@click.command("search")
@click.argument("embeddings", type=click.Path(path_type=Path))
@click.option(
    "--like", required=True, metavar="ID", help="Id of an image, or a part of it that no other has."
)
@click.option("--top", type=click.IntRange(1), default=12, show_default=True, help="How many.")
@click.option("--other-places", is_flag=True, help="Leave out images of the same place.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the images side by side into a .png file.",
)
@overwrite_option
@output_options
def command(
    embeddings: Path,
    *,
    like: str,
    top: int,
    other_places: bool,
    picture: Path | None,
    overwrite: bool,
    output: Output,
) -> None:
    """Find the images in EMBEDDINGS, which embed wrote, that are most like one of them.

    Similarity is the cosine of the vectors, 1 for equal ones.

    \b
    Example:
      eo-contrast search eurosat-emb.parquet --like River_1203 --picture like.png
      eo-contrast search archive-emb.parquet --like 0000200/s2a/20210405 --other-places --top 5
    """
    from eo_contrast.errors import InputError
    from eo_contrast.files import refuse_existing
    from eo_contrast.pretrain.embeddings import open_embeddings
    from eo_contrast.pretrain.search import find_image, nearest

    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise InputError(f"--picture {picture}: is drawn as PNG; give a name that ends so")
        refuse_existing(picture, overwrite=overwrite)
    opened = open_embeddings(embeddings)
    query = find_image(opened, like)
    found = nearest(opened, [query], top=top, other_places=other_places)[0]
    rows = [opened.row(query), *(opened.row(each.number) for each in found)]
    similarities = [each.similarity for each in found]
    if picture is not None:
        from eo_contrast.report.neighbour_pictures import draw_neighbours, shown

        draw_neighbours(shown(rows, similarities), picture)
        output.say(f"{picture}: drawn")
    told = [
        {"similarity": round(similarity, 6)}
        | {name: row[name] for name in ("id", "place_id", "label", "product")}
        for row, similarity in zip(rows[1:], similarities, strict=True)
    ]
    output.emit({"like": rows[0]["id"], "found": told})
    output.show(_table(rows[0]["id"], told))


def _table(like: str, found: list[dict[str, object]]) -> str:
    """Similarity, id, place and class in columns."""
    names = ("id", "place_id", "label")
    widths = [max([len(str(each[name])) for each in found], default=0) for name in names]
    lines = [f"like {like}:"]
    for each in found:
        columns = zip(names, widths, strict=True)
        cells = "  ".join(f"{each[name]!s:<{width}}" for name, width in columns)
        lines.append(f"{each['similarity']:.4f}  {cells}".rstrip())
    return "\n".join(lines)
