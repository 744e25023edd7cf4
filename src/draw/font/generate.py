"""Writes glyphs.txt beside this file: outlines of DejaVu Sans as SVG path data.

    pip install fonttools
    python generate.py DejaVuSans.ttf

A line holds a character, its advance width and its outline, tab-separated: relative commands, 512 units an em, y downwards,
from the pen's position on the base line. Sorted by character. U+FFFD stands for every character that is not here.
"""

import pathlib
import sys

from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont

EM = 512
CHARACTERS = [*range(0x20, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100), *map(ord, "–—‘’“”…→−≈≤≥✓✗\ufffd")]


class Relative(BasePen):
    """Relative path data. Rounding is of absolute positions, so that errors do not add up."""

    def __init__(self, glyphs, scale):
        super().__init__(glyphs)
        self.scale, self.at, self.text, self.command = scale, (0, 0), "", ""

    def _add(self, command, *points):
        points = [(round(x * self.scale), round(-y * self.scale)) for x, y in points]
        steps = [(x - self.at[0], y - self.at[1]) for x, y in points]
        self.at = points[-1]
        if command == "l" and 0 in steps[0]:
            command, steps = ("h", [steps[0][:1]]) if steps[0][1] == 0 else ("v", [steps[0][1:]])
        for number in (number for step in steps for number in step):
            # A sign or a command parts numbers as a space does; a command said twice is said once.
            parts = command if command != self.command else "" if number < 0 else " "
            self.text, self.command = f"{self.text}{parts}{number}", command

    def _moveTo(self, point):
        self._add("m", point)

    def _lineTo(self, point):
        self._add("l", point)

    def _qCurveToOne(self, control, point):
        self._add("q", control, point)

    def _closePath(self):
        # After z the pen is back where the contour began.
        self.text, self.command, self.at = self.text + "z", "", self.first

    def moveTo(self, point):
        super().moveTo(point)
        self.first = self.at


font = TTFont(sys.argv[1])
glyphs, names, scale = font.getGlyphSet(), font.getBestCmap(), EM / font["head"].unitsPerEm
lines = []
for code in CHARACTERS:
    pen = Relative(glyphs, scale)
    glyphs[names[code]].draw(pen)
    lines.append(f"{chr(code)}\t{round(font['hmtx'][names[code]][0] * scale)}\t{pen.text}\n")
pathlib.Path(__file__).with_name("glyphs.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
