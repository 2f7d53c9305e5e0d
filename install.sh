#!/usr/bin/env bash
# Makes .venv: torch, mmdet, detkds_gp (editable). Call it as often as you like; interrupt it at any time.
#   PYTHON=python3.12 ./install.sh    chooses the interpreter
#   ./install.sh --compiled-mmcv      compiles mmcv's own operators too: a C++ compiler, 9 to 14 minutes on 2 cores, an older torch;
#                                     FORCE_CUDA=1 and nvcc for those of a GPU (TORCH_CUDA_ARCH_LIST, CUDA_HOME, MAX_JOBS reach the build)
set -euo pipefail
cd "$(dirname "$0")"
cd "$(pwd -P)"
unset PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
venv=$PWD/.venv
python=$venv/bin/python
inputs=(install.sh setup.cfg setup.py pyproject.toml constraints.txt detkds_gp_operators.pth)

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 2; }

version_of() { # prints 3.11, if that interpreter runs (a pyenv shim may not) and is supported
    "$1" -c 'import sys
v = sys.version_info[:2]
if not (3, 10) <= v <= (3, 13): sys.exit(1)
print("%d.%d" % v)' 2>/dev/null
}

missing_for() { # prints the apt packages that this interpreter lacks to make .venv and, if asked for, to compile mmcv
    local name
    name=python$(version_of "$1")
    "$1" -c 'import ensurepip, venv' 2>/dev/null || echo "$name-venv"
    [ -n "$compiled" ] || return 0
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || echo "$name-dev"
    command -v "${CXX:-g++}" >/dev/null || echo g++
}

choose_python() { # prints the first that lacks nothing, else the first that runs
    local names=(python3.11 python3.12 python3.13 python3.10 python3) candidate first=""
    [ -z "${PYTHON:-}" ] || names=("$PYTHON")
    while read -r candidate; do
        version_of "$candidate" >/dev/null || continue
        first=${first:-$candidate}
        if [ -z "$(missing_for "$candidate")" ]; then
            first=$candidate
            break
        fi
    done < <(type -ap "${names[@]}")
    [ -n "$first" ] || fail "got no working interpreter as ${names[*]}, wanted Python 3.10, 3.11, 3.12 or 3.13;" \
        "sudo apt-get install -y python3 python3-venv, or PYTHON=/path/to/python3.11"
    echo "$first"
}

is_whole() { # .venv is there, was not cut short and was not moved
    version_of "$python" >/dev/null && "$venv/bin/pip" --version 2>/dev/null | grep -qF "from $venv/"
}

pip_install() { "$python" -m pip install --no-compile --disable-pip-version-check -c "$constraints" "$@"; }

has_operators() { # compiled, for this torch, and for CUDA where that is wanted
    "$python" -W ignore - 2>/dev/null <<'PY'
import os
from detkds_gp.environment import check_environment
from detkds_gp.operators import active_operators
check_environment("cuda" if os.getenv("FORCE_CUDA") == "1" else "cpu")
assert "compiled" in active_operators()
PY
}

compile_mmcv() { # over mmcv-lite, whose files are the same; ninja is found on PATH; -O1 -g0 halves the time
    say "Compiling mmcv's operators: 9 to 14 minutes on 2 cores"
    pip_install -q wheel ninja
    PATH=$venv/bin:$PATH CFLAGS=${CFLAGS:--O1 -g0} MAX_JOBS=${MAX_JOBS:-$(nproc)} MMCV_WITH_OPS=1 PYTHONWARNINGS=ignore \
        pip_install -q --no-build-isolation --no-cache-dir --force-reinstall --no-deps mmcv==2.1.0
}

compiled=$(cat "$venv/.compiled-mmcv" 2>/dev/null || true) # once chosen, it stays so for this .venv
case "$*" in
    "") ;;
    --compiled-mmcv) compiled=yes ;;
    *) fail "got '$*', wanted nothing or --compiled-mmcv" ;;
esac

exec 9<install.sh
flock -n 9 || { echo "Another set-up of this folder is running; waiting for it."; flock 9; }

chosen=$python
if [ -n "${PYTHON:-}" ] || ! is_whole; then chosen=$(choose_python); fi
version=$(version_of "$chosen")
wanted="$PWD python$version compiled=$compiled FORCE_CUDA=${FORCE_CUDA:-} $(cat "${inputs[@]}" | sha256sum)"
[ "$wanted" != "$(cat "$venv/.ready" 2>/dev/null)" ] || exit 0
rm -f "$venv/.ready"

missing=$(missing_for "$chosen" | paste -sd' ')
[ -z "$missing" ] || fail "got $chosen alone, wanted it with $missing; sudo apt-get install -y $missing"
if ! is_whole || [ "$(version_of "$python")" != "$version" ]; then
    say "Making .venv with $chosen"
    rm -rf "$venv"
    "$chosen" -m venv "$venv"
fi

export TMPDIR=$venv/tmp
rm -rf "$TMPDIR"
mkdir "$TMPDIR"
for info in "$venv"/lib/python*/site-packages/*.dist-info; do # pip cannot go on from what a killed pip left
    [ -f "$info/RECORD" ] || rm -rf "$info"
done
constraints=constraints.txt
if [ -n "$compiled" ]; then # mmcv 2.1 is C++17, torch from 2.14 on is C++20
    constraints=$TMPDIR/constraints.txt
    sed 's/^torch==.*/torch==2.11.0/; s/^torchvision==.*/torchvision==0.26.0/' constraints.txt >"$constraints"
fi
say "Installing torch (2.5 GB to download the first time), mmdet and the rest"
pip_install -q pip setuptools
pip_install -e '.[cluster,dev]'
cp detkds_gp_operators.pth "$venv"/lib/python*/site-packages/
if [ -n "$compiled" ]; then
    has_operators || compile_mmcv
    echo yes >"$venv/.compiled-mmcv"
fi
if ! "$python" -c 'import cv2' 2>/dev/null; then # no libGL or libglib: OpenCV without windows needs neither
    pip_install -q --force-reinstall --no-deps opencv-python-headless
fi
"$python" -W ignore -m detkds_gp.environment
"$python" -W ignore -c 'import detkds_gp.run.experiment, detkds_gp.search.belief' # writes the bytecode that every process reads
rm -rf "$TMPDIR"
echo "$wanted" >"$venv/.ready"
say "Ready: .venv/bin/gp_search --help"
