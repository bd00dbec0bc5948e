"""Tables say what was measured, what is only quoted and what is missing."""

from __future__ import annotations

from pathlib import Path

from common.table_text import Text, TextRow, latex, markdown, plot

ROWS = (
    TextRow("theirs", published=(22.1, None)),
    TextRow("ours", [{"mIoU": 50.0, "PSNR_1": 30.0}, {"mIoU": 60.0, "PSNR_1": 31.0}], 2, (51.7, 39.9)),
    TextRow("half", [{"mIoU": 50.0}], 2, note="100% other"),
    TextRow("none", [], 2),
)
TEXT = Text("Table 1", ("mIoU", "PSNR_1"), ROWS, ("room, seed 1, half: broke",))


def test_measured_figures_stand_before_published_ones() -> None:
    lines = markdown(TEXT).splitlines()
    assert lines[0] == "Table 1" and lines[2] == "| method | mIoU | PSNR_1 |"
    assert "| theirs | (22.1) |  |" in lines
    assert "| ours | 55.0 ± 7.1 (51.7) | 30.5 ± 0.7 (39.9) |" in lines
    assert "| half | 50.0 [1 of 2] | - |" in lines
    assert "| none | missing | missing |" in lines
    assert lines[-3:] == ["- Only quoted: theirs.", "- half: 100% other", "- MISSING: room, seed 1, half: broke"]


def test_latex_has_the_same_figures_escaped() -> None:
    text = latex(TEXT)
    assert r"ours & 55.0 $\pm$ 7.1 (51.7) & 30.5 $\pm$ 0.7 (39.9) \\" in text
    assert r"PSNR\_1" in text and r"100\% other" in text and text.count(r"\par") == 3


def test_latex_and_markdown_take_any_message() -> None:
    """Of exceptions, with paths and pieces of code."""
    text = Text("Scene a&b_c", ("mIoU",), (TextRow("a", [{"mIoU": 1.0}], 1),), ("C:\\x: {~^$ & \\_}\n\n  at #1",))
    assert r"\caption{Scene a\&b\_c}" in latex(text)
    escaped = r"C:\textbackslash{}x: \{\textasciitilde{}\textasciicircum{}\$ \& \textbackslash{}\_\} at \#1"
    assert escaped in latex(text)
    assert markdown(text).splitlines()[-1] == "- MISSING: C:\\x: {~^$ & \\_} at #1"


def test_a_curve_leaves_out_what_is_missing(tmp_path: Path) -> None:
    values = (TextRow("0.1", [{"mIoU": 1.0}], 1), TextRow("1", [], 1))
    plot(Text("Figure 5", ("mIoU",), values), "tau", tmp_path / "curve")
    assert (tmp_path / "curve.png").is_file() and "<svg" in (tmp_path / "curve.svg").read_text()
    plot(Text("Figure 5", ("mIoU",), values[1:]), "tau", tmp_path / "nothing")
    assert not (tmp_path / "nothing.png").exists()
