#!/usr/bin/env bash
# Runs what depends on PyTorch's compiler on another PyTorch than the installed one: bash scripts/test_other_torch.sh
#
# Nothing is downloaded. A second virtual environment, .venv-other-torch, gets another version where pip finds one on this
# machine: in the folders and file: indexes that pip is configured with, or in the folder of wheels that SACCADE_WHEELS
# names. It takes all other packages from .venv. Where there is none the tests are left out, and the reason is said.
#
# SACCADE_OTHER_PYTHON  an interpreter that has another PyTorch and all that the tests need, to be used as it is
# SACCADE_WHEELS        a further folder of wheels
# PY                    the interpreter with the installed PyTorch (.venv/bin/python)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PY=${PY:-.venv/bin/python} FOLDER=${SACCADE_OTHER_VENV:-.venv-other-torch}
readonly ROOM=8 # gigabytes that a PyTorch with CUDA takes

say() { printf '[other torch] %s\n' "$*"; }

skip() {
    say "left out: $*"
    exit 0
}

stop() {
    printf '[other torch] %s\n' "$*" >&2
    exit 2
}

version_in() { "$1" -c 'import torch; print(torch.__version__)' 2>/dev/null; }

# Where pip looks on this machine, as its own options; never a network.
local_sources() {
    "$PY" -m pip config list | "$PY" -c '
import ast, sys
for line in sys.stdin:
    name, _, value = line.strip().partition("=")
    words = ast.literal_eval(value).split() if value else []
    for word in words:
        kind = name.rpartition(".")[2]
        if kind == "find-links" and "://" not in word.removeprefix("file://"):
            print("--find-links", word)
        elif kind in ("index-url", "extra-index-url") and word.startswith("file:"):
            print("--extra-index-url", word)'
    [ -z "${SACCADE_WHEELS:-}" ] || echo "--find-links $SACCADE_WHEELS"
}

# An empty folder stands for the index that pip would ask by default.
offline_pip() {
    env -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null \
        "$PY" -m pip --python "$FOLDER/bin/python" install --quiet --disable-pip-version-check --no-compile --no-cache-dir \
        --index-url "file://$(realpath "$FOLDER")/no-index" $SOURCES "$@"
}

build() {
    local installed=$1 free
    free=$(df -BG --output=avail . | tail -1 | tr -dc 0-9)
    [ "$free" -ge "$ROOM" ] || skip "a second PyTorch takes up to $ROOM GB, and $free are free here"
    "$PY" -m venv --clear --without-pip "$FOLDER"
    mkdir -p "$FOLDER/no-index"
    SOURCES=$(local_sources)
    say "looking for a PyTorch other than $installed on this machine"
    offline_pip --no-deps "torch>=2.11,!=${installed%%+*}" 2>"$FOLDER/pip.log" ||
        skip "pip finds no other PyTorch on this machine (SACCADE_WHEELS=FOLDER names a folder of wheels)"
    # CUDA's libraries, without which a PyTorch built for them cannot be imported. All else comes from .venv.
    "$FOLDER/bin/python" -c '
import importlib.metadata
for line in importlib.metadata.requires("torch"):
    if line.startswith(("nvidia-", "cuda-toolkit")):
        print(line)' | while read -r requirement; do
        offline_pip "$requirement" 2>>"$FOLDER/pip.log" || say "not on this machine: ${requirement%%;*}"
    done
    "$PY" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        >"$("$FOLDER/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/other_packages.pth"
    [ -n "$(version_in "$FOLDER/bin/python")" ] ||
        skip "it cannot be imported: $("$FOLDER/bin/python" -c 'import torch' 2>&1 | tail -1)"
}

installed=$(version_in "$PY") || stop "$PY has no PyTorch: run make setup first"
if [ -n "${SACCADE_OTHER_PYTHON:-}" ]; then
    other=$SACCADE_OTHER_PYTHON
    [ -n "$(version_in "$other")" ] || stop "SACCADE_OTHER_PYTHON=$other cannot import torch: name an interpreter that can"
else
    other=$FOLDER/bin/python
    [ -x "$other" ] && [ -n "$(version_in "$other")" ] || build "$installed"
fi
found=$(version_in "$other")
[ "$found" != "$installed" ] || stop "$other has PyTorch $found too: remove $FOLDER, or name another interpreter"

say "PyTorch $found ($installed is installed)"
export PYTHONPATH=$PWD/src SACCADE_ALL_COMPILED=1
exec "$other" -m pytest -q -n 2 -p no:cacheprovider tests/contracts/test_inductor.py \
    tests/contracts/test_agents.py::test_it_keeps_the_promises_of_a_method tests/contracts/test_captured.py \
    tests/equations/test_precision.py "$@"
