#!/usr/bin/env bash
# Writes docs/katex/katex.js and docs/katex/katex.css. They are KaTeX, which draws the ```math blocks of the
# documentation.
#
# docs/katex/header.html loads both files, and names the version of KaTeX. The style sheet contains the fonts that the
# formulas need, so the pages need no network.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(grep -o 'katex@[0-9.]*' docs/katex/header.html)
fonts="Main-Regular Math-Italic Size1-Regular Size2-Regular Size3-Regular Size4-Regular"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$version" >/dev/null && tar xzf katex-*.tgz)
dist=$work/package/dist

faces() {
  for font in $fonts; do
    style=normal
    if [[ $font == *-Italic ]]; then style=italic; fi
    printf '@font-face{font-family:KaTeX_%s;font-style:%s;src:url(data:font/woff2;base64,%s)format("woff2")}\n' \
      "${font%-*}" "$style" "$(base64 -w0 "$dist/fonts/KaTeX_$font.woff2")"
  done
}

cp "$work/package/LICENSE" docs/katex/LICENSE
{
  printf '/* %s, MIT licence, https://katex.org; made by tools/vendor-katex.sh */\n' "$version"
  faces
  sed 's/@font-face{[^}]*}//g' "$dist/katex.min.css"
} >docs/katex/katex.css
{
  printf '/* %s, MIT licence, https://katex.org; made by tools/vendor-katex.sh */\n' "$version"
  cat "$dist/katex.min.js"
} >docs/katex/katex.js
wc -c docs/katex/*
