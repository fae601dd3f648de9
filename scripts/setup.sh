#!/usr/bin/env bash
# Prepares this folder on a fresh Debian or Ubuntu: Python, the virtual environment .venv with all
# packages, and a software OpenGL where the machine has none. Does nothing when all of it is there.
# With --browser it also brings a browser, in which the tests open pages; without one those tests are skipped.
# Exit code 2: something is missing that only its owner can install; the command to run is printed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:/usr/sbin:/sbin" # ldconfig is there, and not on everybody's path

readonly TORCH=torch==2.13.0
readonly STAMP=.venv/saccade-setup-done

say() { printf '[setup] %s\n' "$*"; }

stop() {
    printf '[setup] %s\n' "$@" >&2
    exit 2
}

may_install() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

# --- Python ---------------------------------------------------------------------------------------

can_make_environments() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
        >/dev/null 2>&1
}

# Every Python of that name on the path, and where `uv python install` puts them: the first of a name
# can be a broken shim. The machine's own python3 comes first, because packages may lie ready for it.
find_python() {
    local name candidate
    for name in python3 python3.12 python3.11; do
        while read -r candidate; do
            if can_make_environments "$candidate"; then
                echo "$candidate"
                return
            fi
        done < <(type -aP "$name"; ls "${HOME:-/root}/.local/bin/$name" 2>/dev/null)
    done
    return 1
}

install_python() {
    local package
    apt-get update -qq
    for package in python3.12-venv python3.11-venv; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            say "installing $package"
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
            return
        fi
    done
}

require_python() {
    find_python >/dev/null && return
    if may_install; then
        install_python
        find_python >/dev/null && return
    fi
    stop "no Python 3.11 or 3.12 that can make virtual environments was found. Install one, then run make again:" \
        "  Debian 12:     sudo apt-get install -y python3.11-venv" \
        "  Ubuntu 24.04:  sudo apt-get install -y python3.12-venv" \
        "  elsewhere:     curl -LsSf https://astral.sh/uv/install.sh | sh && ~/.local/bin/uv python install 3.12" \
        "(Newer ones do not do: dm_control's labmaze has no build for them.)"
}

# --- Packages -------------------------------------------------------------------------------------

# What the environment was made from: another text means that it must be made again.
recipe() { printf '%s\n%s\n' "$PWD $TORCH" "$(sha256sum pyproject.toml)"; }

installed() { [ -x .venv/bin/python ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$(recipe)" ]; }

install_packages() {
    local python
    if ! can_make_environments .venv/bin/python; then
        require_python
        python="$(find_python)"
        say "1/3 virtual environment .venv with $("$python" --version) ($python)"
        "$python" -m venv --clear .venv
    fi
    say "2/3 $TORCH (a large download, unless this machine already has the package)"
    .venv/bin/python -m pip install -qq --disable-pip-version-check "$TORCH"
    say "3/3 the other packages, simulator included"
    # Its name until it became saccade-rl: two distributions of one package would be in each other's way.
    .venv/bin/python -m pip uninstall -qq -y --disable-pip-version-check saccade
    .venv/bin/python -m pip install -qq --disable-pip-version-check -e '.[all,dev,docs]'
    recipe >"$STAMP"
    say "ready: .venv/bin/saccade"
}

# --- OpenGL ---------------------------------------------------------------------------------------

has_library() { ldconfig -p 2>/dev/null | grep -q "lib$1\.so"; }

# Mesa's software renderer, or EGL with an OpenGL beside it (which an NVIDIA device needs too). A DISPLAY says little:
# it may be left over, and a screen's OpenGL is among the libraries.
can_render() {
    has_library OSMesa ||
        { has_library EGL && { has_library GL || has_library OpenGL; }; }
}

require_opengl() {
    can_render && return
    if may_install; then
        say "no OpenGL here: installing Debian's libosmesa6 (about 45 MB)"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libosmesa6 >/dev/null
    else
        stop "no OpenGL here, and the simulator needs one to make pictures. Install it, then run make again:" \
            "  sudo apt-get update && sudo apt-get install -y --no-install-recommends libosmesa6"
    fi
}

# --- A C compiler, for a GPU ------------------------------------------------------------------------

has_gpu() { compgen -G '/dev/nvidia[0-9]*' >/dev/null; }

has_headers() {
    .venv/bin/python -c 'import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").is_file())'
}

# On a GPU losses are compiled, for which Triton needs both. Runs are slower without, so nothing stops here.
offer_compiler() {
    if ! has_gpu || { { command -v gcc || command -v clang; } >/dev/null && has_headers; }; then return; fi
    local hint="sudo apt-get install -y gcc python3-dev"
    if may_install; then
        say "a GPU, and no C compiler or Python.h to compile losses with: installing gcc and python3-dev"
        { apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev python3-dev \
                >/dev/null && has_headers; } ||
            say "that failed, and runs on the GPU will be slower (saccade doctor says what is missing; Debian: $hint)"
    else
        say "a GPU, and no C compiler or Python.h: runs on it will be slower (Debian: $hint)"
    fi
}

# --- A browser ------------------------------------------------------------------------------------

has_browser() {
    local name
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null && return
    done
    return 1
}

# Tests of pages are skipped without one, so nothing stops here.
offer_browser() {
    has_browser && return
    if may_install; then
        say "no browser here: installing Debian's chromium for the tests of pages (a large download)"
        { apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } ||
            say "that failed; the tests that open pages will be skipped"
    else
        say "no browser here: the tests that open pages will be skipped (Debian: sudo apt-get install chromium)"
    fi
}

require_opengl
installed || install_packages
offer_compiler
if [ "${1:-}" = --browser ]; then offer_browser; fi
