#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Opens plan.html in a headless browser, wide and narrow: pictures into target/page, and an error
# when something is wider than the window.
#
#   tests/page.sh [SYSTEM]...    by default demo, shared and linux
#
# Needs chromium or chromium-headless-shell, which ./setup.sh does not install: it takes 200 MB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
browser=$(command -v chromium-headless-shell || command -v chromium) || {
    echo "page.sh: there is no chromium" >&2
    exit 1
}
if (($# == 0)); then set -- demo shared linux; fi
mkdir -p target/page
status=0

# The page's own policy allows no script: a copy without it is measured. What is in a part that
# scrolls by itself may be wider.
read -r -d '' measure <<'SCRIPT' || true
<script>
const scrolls = one => one !== document.body &&
  (getComputedStyle(one).overflowX !== "visible" || scrolls(one.parentElement));
const wide = [...document.querySelectorAll("body *")].filter(one =>
  one.getBoundingClientRect().right > innerWidth + 1 && !scrolls(one.parentElement));
document.title = "wide: " + wide.map(one => one.tagName + "." + one.className).join(" ");
</script>
SCRIPT

open() { timeout 60 "$browser" --headless --no-sandbox --disable-gpu "$@" 2>/dev/null; }

for system; do
    page=$(cargo run --quiet --package bulkhead -- plan "$system" --html)
    name=$(basename "$(dirname "$page")")
    { sed '/Content-Security-Policy/d' "$page" && echo "$measure"; } > "target/page/$name.html"
    for size in 1280,5000 375,9000; do
        width=${size%,*}
        picture=target/page/$name-$width.png
        open --hide-scrollbars --window-size="$size" --screenshot="$picture" "file://$PWD/$page"
        wide=$(open --window-size="$size" --dump-dom "file://$PWD/target/page/$name.html" |
            sed -n 's/.*<title>\(wide: [^<]*\)<.*/\1/p;T;q')
        echo "$picture $wide"
        if [[ $wide != "wide: " || ! -s $picture ]]; then status=1; fi
    done
done
exit "$status"
