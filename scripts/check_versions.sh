#!/usr/bin/env bash
# Which versions of Python, numpy, torch, transformers and gsplat work together: installs each combination listed below
# into an environment of its own, runs the plugin there (scripts/versions_cell.py) and prints a Markdown table.
#
#   scripts/check_versions.sh [NAME ...]        default: every combination
#
# Needs uv (pip install uv), g++ and 30 GB of disk. uv takes its Pythons from PATH, and downloads those that it misses.
# VERSIONS_DIR (default build/versions) keeps a row per combination, so that an interrupted run goes on where it
# stopped; delete rows/NAME.md there to try a combination again, or the folder to try all. Environments and uv's cache
# lie in the same folder, since uv then links packages instead of copying them; an environment is deleted after its row,
# the cache after the last.
set -euo pipefail
cd "$(dirname "$0")/.."

# NAME | Python | requirements beyond our own | overrides of what we or our dependencies demand
COMBINATIONS=(
    "default        | 3.11 |                                               |"
    "oldest         | 3.10 | torch==2.4.0 transformers==4.56.0 numpy==1.26 |"
    "python-3.10    | 3.10 |                                               |"
    "python-3.12    | 3.12 | transformers<5                                |"
    "numpy-2-oldest | 3.10 | torch==2.4.0 transformers<5                   | numpy>=2"
    "newest         | 3.12 |                                               | numpy>=2"
    "gsplat-1.5     | 3.11 |                                               | gsplat==1.5.3"
)
FOLDER=$(realpath -m "${VERSIONS_DIR:-build/versions}")
ROWS=$FOLDER/rows CELL=$FOLDER/cell
export UV_CACHE_DIR=$FOLDER/cache
# torch 2.4 leaves the processes behind that it starts to compile with.
export TORCHINDUCTOR_COMPILE_THREADS=1
# Other versions of gsplat are refused unless one asks for them.
export PROTO_SAGA_ANY_GSPLAT=1

main() {
    command -v uv >/dev/null || { echo "check_versions.sh: uv is missing; pip install uv" >&2; exit 2; }
    mkdir -p "$ROWS"
    rm -rf "$FOLDER/wheel"
    trap 'rm -rf "$CELL"' EXIT
    for combination in "${COMBINATIONS[@]}"; do
        IFS='|' read -r name python requirements overrides <<<"$combination"
        read -r name <<<"$name"
        if is_wanted "$name" "$@" && [ ! -f "$ROWS/$name.md" ]; then
            echo "$name ..." >&2
            [ -d "$FOLDER/wheel" ] || uv build --quiet --wheel --out-dir "$FOLDER/wheel" # one for every Python
            try "$name" "${python// /}" "$requirements" "$overrides" >"$ROWS/$name.part"
            mv "$ROWS/$name.part" "$ROWS/$name.md"
        fi
    done
    print_table
    if [ "$(count_rows)" = ${#COMBINATIONS[@]} ]; then rm -rf "$UV_CACHE_DIR" "$FOLDER/"{kept,wheel}; fi
}

is_wanted() { # name, names asked for
    local name=$1; shift
    [ $# = 0 ] || [[ " $* " == *" $name "* ]]
}

count_rows() { find "$ROWS" -name '*.md' | wc -l; }

# The row of a combination: installs it, runs it, and deletes it.
try() { # name, Python, requirements, overrides
    local started=$SECONDS
    rm -rf "$CELL"; mkdir -p "$CELL"
    cp -r tests "$CELL/tests"
    cp pyproject.toml scripts/versions_cell.py "$CELL"
    local log=$FOLDER/$1.log size reason
    if ! install "$2" "$3" "$4" >"$log" 2>&1; then
        reason=$(grep -m1 Because "$log" || tail -1 "$log")
        echo "| $1 | $2 | | | | | failed: ${reason//|/\\|} | | |"
        return
    fi
    size=$(du -sh "$CELL/env" | cut -f1)
    (cd "$CELL" && PATH="$CELL/env/bin:$PATH" env/bin/python versions_cell.py --name "$1" \
        --installed "$((SECONDS - started)) s, ${size/G/ GB}" --kept "$FOLDER/kept" 2>>"$log") ||
        echo "| $1 | $2 | | | | | | failed: $(tail -1 "$log") | |"
    rm -rf "$CELL"
}

install() { # Python, requirements, overrides
    local requirements overrides
    read -ra requirements <<<"$2"
    read -ra overrides <<<"$3"
    printf '%s\n' "${overrides[@]}" >"$CELL/overrides.txt"
    uv venv --python "$1" "$CELL/env" &&
        uv pip install --python "$CELL/env/bin/python" --overrides "$CELL/overrides.txt" \
            "$(echo "$FOLDER"/wheel/*.whl)[sam,text]" pytest hypothesis "${requirements[@]}" &&
        ln -s "$("$CELL/env/bin/python" -c 'import imageio_ffmpeg as f; print(f.get_ffmpeg_exe())')" "$CELL/env/bin/ffmpeg"
}

print_table() {
    echo "| combination | Python | numpy | torch | transformers | gsplat | installation | commands | tests |"
    echo "|---|---|---|---|---|---|---|---|---|"
    for combination in "${COMBINATIONS[@]}"; do
        local name; read -r name _ <<<"$combination"
        if [ -f "$ROWS/$name.md" ]; then cat "$ROWS/$name.md"; fi
    done
}

main "$@"; exit # or bash would read on in a file that was edited meanwhile
