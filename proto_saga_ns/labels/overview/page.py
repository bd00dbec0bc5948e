"""Writing the report."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels.colors import colorize
from proto_saga_ns.labels.folder import check_size
from proto_saga_ns.labels.images import read_rgb
from proto_saga_ns.labels.label_map import read_label_map, resize_label_map
from proto_saga_ns.labels.overview.charts import CHARTS, overview, svg
from proto_saga_ns.labels.overview.statistics import ReportStatistics, ViewStatistics, view_statistics
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.progress import Progress, unseen

THUMBNAIL_WIDTH = 320
COLUMNS, ROWS = 6, 4
"""of the contact sheet in the PNG, which shows that many views evenly spread over all"""

_OPACITY = 0.55


def write_report(
    image_paths: Sequence[Path], masks: Path, html: Path, title: str, progress: Progress = unseen
) -> ReportStatistics:
    """Write ``html`` and, beside it, the same overview as a PNG of the same name.

    The page has all pictures in itself and asks for no other file. One view is in memory at a time.

    Args:
        image_paths: of all views.
        masks: folder of ``<image stem>.png``; a view may be without one.
        progress: of the images.

    Raises:
        ProtoSagaError: an image or a label map is unreadable, sizes differ, or the files cannot be written.
    """
    views: list[ViewStatistics] = []
    pictures: list[bytes] = []
    chosen: list[UInt8[np.ndarray, "_h _w 3"]] = []
    on_sheet = {image_paths[index] for index in evenly_spread(len(image_paths), COLUMNS * ROWS)}
    for path in progress(image_paths, "Report"):
        labels = _read(masks / f"{view_name(path)}.png", path)
        picture = thumbnail(path, labels, THUMBNAIL_WIDTH)
        views.append(view_statistics(path.name, labels))
        pictures.append(jpeg(picture))
        if path in on_sheet:
            chosen.append(picture)
    statistics = ReportStatistics(views)
    page = _page(statistics, pictures, title, f"Label maps in {masks}")
    write_atomically(html, page.encode())
    sheet = contact_sheet(chosen, min(COLUMNS, len(chosen)))
    write_atomically(html.with_suffix(".png"), overview(statistics, sheet, title))
    return statistics


def _page(statistics: ReportStatistics, pictures: Sequence[bytes], title: str, source: str) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        source=source,
        summary=statistics.summary(),
        warnings={
            "Views without a label map": statistics.without_map,
            "Views whose label map is empty": statistics.empty,
        },
        charts=[_data_uri(svg(chart, statistics), "image/svg+xml") for chart in CHARTS],
        views=zip(statistics.views, [_data_uri(picture, "image/jpeg") for picture in pictures], strict=True),
    )


def _read(label_map: Path, image: Path) -> np.ndarray | None:
    if not label_map.is_file():
        return None
    labels = read_label_map(label_map)
    check_size(label_map, (labels.shape[1], labels.shape[0]), image)
    return labels


def _data_uri(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def evenly_spread(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` indices below ``count``, evenly spread, first and last among them."""
    return sorted({round(value) for value in np.linspace(0, count - 1, min(count, wanted))})


def thumbnail(image_path: Path, labels: Int[np.ndarray, "H W"] | None, width: int) -> UInt8[np.ndarray, "h width 3"]:
    """Masks in their colours over the photo, with bright outlines; the dimmed photo alone where nothing is labelled.

    Raises:
        ProtoSagaError: the image is unreadable.
    """
    photo = Image.fromarray(read_rgb(image_path))
    height = max(1, round(photo.height * width / photo.width))
    small = np.asarray(photo.resize((width, height), Image.Resampling.BOX))
    grey = np.repeat(small.mean(-1, keepdims=True), 3, -1)
    if labels is None:
        return (0.5 * grey).astype(np.uint8)
    map_small = resize_label_map(labels, height, width)
    mixed = (1 - _OPACITY) * small + _OPACITY * colorize(map_small)
    picture = np.where((map_small > 0)[..., None], mixed, 0.5 * grey)
    picture[_outline(map_small)] = 255
    return picture.round().astype(np.uint8)


def jpeg(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A picture as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=82)
    return buffer.getvalue()


def contact_sheet(
    pictures: list[UInt8[np.ndarray, "_h _w 3"]], columns: int, gap: int = 4
) -> UInt8[np.ndarray, "H W 3"]:
    """Pictures in rows on white, each at the top left of a cell that the largest fits into."""
    height = max(picture.shape[0] for picture in pictures) + gap
    width = max(picture.shape[1] for picture in pictures) + gap
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * height - gap, columns * width - gap, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return sheet


def _outline(labels: Int[np.ndarray, "H W"]) -> np.ndarray:
    """Pixels whose right or lower neighbour has another label."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge
