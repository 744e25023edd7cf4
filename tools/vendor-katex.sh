#!/usr/bin/env bash
# Writes docs/katex/: what sets the ```math blocks of the documentation, in one file that rustdoc can include.
#
# katex.html is KaTeX's script, its style sheet with the fonts that our formulas need, and the lines that replace each
# block's source by the formula. Everything is inside, so `cargo doc` needs no network, no flag and no further file. The
# script stands in an HTML comment, which browsers read over: rustdoc would take its `<` for tags.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.19.1
fonts="Main-Regular Math-Italic Size1-Regular Size2-Regular Size3-Regular Size4-Regular"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "katex@$version" >/dev/null && tar xzf katex-*.tgz)
dist=$work/package/dist

faces() {
  for font in $fonts; do
    style=normal
    if [[ $font == *-Italic ]]; then style=italic; fi
    printf '@font-face{font-family:KaTeX_%s;font-style:%s;src:url(data:font/woff2;base64,%s)format("woff2")}\n' \
      "${font%-*}" "$style" "$(base64 -w0 "$dist/fonts/KaTeX_$font.woff2")"
  done
}

mkdir -p docs/katex
cp "$work/package/LICENSE" docs/katex/LICENSE
{
  printf '\n<!-- KaTeX %s, MIT licence, https://katex.org; made by tools/vendor-katex.sh -->\n' "$version"
  printf '<style>\n'
  faces
  sed 's/@font-face{[^}]*}//g' "$dist/katex.min.css"
  printf '.formula{overflow-x:auto;overflow-y:hidden}\n</style>\n'
  printf '<script><!--\n'
  cat "$dist/katex.min.js"
  cat <<'END'

for (const source of document.querySelectorAll("pre.language-math")) {
  const formula = document.createElement("div");
  formula.className = "formula";
  katex.render(source.textContent, formula, { displayMode: true, fleqn: true, throwOnError: false });
  source.closest(".example-wrap").replaceWith(formula);
}
//--></script>
END
} >docs/katex/katex.html
wc -c docs/katex/*
