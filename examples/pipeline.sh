#!/usr/bin/env bash
# Counts the labels of all pictures below a folder: examples/pipeline.sh [FOLDER [MODEL]]
# Needs jq. A picture that cannot be read is counted as "unreadable".
set -uo pipefail # no -e: classify ends with 1 when a picture cannot be read, and its records are still good

find "${1:-examples}" -type f \( -iname '*.jpg' -o -iname '*.png' \) -print0 |
    vithybrid classify - --null --top-k 1 --model "${2:-tiny}" --quiet |
    jq -r 'if .error then "unreadable" else .predictions[0].label end' |
    sort | uniq -c | sort -rn
exit $((PIPESTATUS[1] > 1 ? PIPESTATUS[1] : 0))
