#!/usr/bin/env bash
# Makes .venv: torch, mmcv with compiled operators, mmdet, detkds_gp (editable). Call it as often as you like; interrupt it at any time.
#   PYTHON=python3.12 ./install.sh   chooses the interpreter
#   FORCE_CUDA, TORCH_CUDA_ARCH_LIST, CUDA_HOME, MAX_JOBS, CFLAGS reach the build of mmcv: FORCE_CUDA=1 builds its CUDA operators
#   where no GPU is visible; where torch sees one and nvcc is there, they are built anyway.
set -euo pipefail
cd "$(dirname "$0")"
cd "$(pwd -P)"
unset PYTHONHOME PYTHONPATH
venv=$PWD/.venv
python=$venv/bin/python
inputs=(install.sh setup.cfg setup.py pyproject.toml constraints.txt)

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 2; }

version_of() { # prints 3.11, if that interpreter runs (a pyenv shim may not) and is supported
    "$1" -c 'import sys
v = sys.version_info[:2]
if not (3, 10) <= v <= (3, 12): sys.exit(1)
print("%d.%d" % v)' 2>/dev/null
}

missing_for() { # prints the apt packages that this interpreter lacks to make .venv and to build mmcv
    local name
    name=python$(version_of "$1")
    "$1" -c 'import ensurepip, venv' 2>/dev/null || echo "$name-venv"
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || echo "$name-dev"
    command -v "${CXX:-g++}" >/dev/null || echo g++
}

choose_python() { # prints the first that lacks nothing, else the first that runs
    local names=(python3.11 python3.12 python3.10 python3) candidate first=""
    [ -z "${PYTHON:-}" ] || names=("$PYTHON")
    while read -r candidate; do
        version_of "$candidate" >/dev/null || continue
        first=${first:-$candidate}
        if [ -z "$(missing_for "$candidate")" ]; then
            first=$candidate
            break
        fi
    done < <(type -ap "${names[@]}")
    [ -n "$first" ] || fail "got no working interpreter as ${names[*]}, wanted Python 3.10, 3.11 or 3.12;" \
        "sudo apt-get install -y python3 python3-venv python3-dev g++, or PYTHON=/path/to/python3.11"
    echo "$first"
}

is_whole() { # .venv is there, was not cut short and was not moved
    version_of "$python" >/dev/null && "$venv/bin/pip" --version 2>/dev/null | grep -qF "from $venv/"
}

pip_install() { "$python" -m pip install --no-compile --disable-pip-version-check -c constraints.txt "$@"; }

choose_cuda() { # sets what mmcv's build reads, from what this machine has
    [ -z "${FORCE_CUDA:-}" ] || return 0
    "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || return 0
    if [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] || command -v nvcc >/dev/null; then
        export FORCE_CUDA=1
    else
        say "torch sees a GPU, but there is no nvcc: mmcv is built for the CPU and will not train on the GPU." \
            "Install the CUDA toolkit of torch's version and call: rm .venv/.ready && ./install.sh"
        export CUDA_VISIBLE_DEVICES=
    fi
}

sign_of_life() { # silent while pip takes mmcv from its cache, a line every half minute while it compiles
    local compiled total
    until ls "$TMPDIR"/pip-*/mmcv*/build/*/build.ninja >/dev/null 2>&1; do sleep 2 >/dev/null 2>&1; done
    say "Compiling mmcv's operators for this torch: once, 9 to 14 minutes on 2 cores; pip keeps the wheel."
    total=$(grep -c '^build .*\.o: ' "$TMPDIR"/pip-*/mmcv*/build/*/build.ninja)
    while sleep 30 >/dev/null 2>&1; do
        compiled=$(find "$TMPDIR" -name '*.o' 2>/dev/null | wc -l)
        echo "   mmcv: $compiled of $total files compiled, $((SECONDS / 60)) min since the start"
    done
}

build() { # pip install for what has to be compiled; ninja is found on PATH; -O1 -g0 halves the time
    local ticker status=0
    sign_of_life 9<&- &
    ticker=$!
    trap "kill $ticker 2>/dev/null || true" EXIT
    PATH=$venv/bin:$PATH CFLAGS=${CFLAGS:--O1 -g0} MAX_JOBS=${MAX_JOBS:-$(nproc)} MMCV_WITH_OPS=1 \
        PYTHONWARNINGS=ignore pip_install -q --no-build-isolation "$@" || status=$?
    kill $ticker 2>/dev/null || true
    return $status
}

has_operators() { # compiled, for this torch, and for CUDA where that is wanted
    "$python" -W ignore - 2>/dev/null <<'PY'
import os, sys
from mmcv.ops import get_compiling_cuda_version
sys.exit(os.getenv("FORCE_CUDA") == "1" and get_compiling_cuda_version() == "not available")
PY
}

exec 9<install.sh
flock -n 9 || { echo "Another set-up of this folder is running; waiting for it."; flock 9; }

chosen=$python
if [ -n "${PYTHON:-}" ] || ! is_whole; then chosen=$(choose_python); fi
version=$(version_of "$chosen")
wanted="$PWD python$version FORCE_CUDA=${FORCE_CUDA:-} $(cat "${inputs[@]}" | sha256sum)"
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
pip_install -q pip setuptools wheel ninja
say "Installing torch (2.5 GB to download the first time)"
pip_install torch torchvision # in one call: torch from elsewhere does not fit the index's torchvision
say "Installing mmcv, mmdet and the rest"
choose_cuda
build mmcv -e '.[cluster,dev]'
if ! "$python" -c 'import cv2' 2>/dev/null; then # no libGL or libglib: OpenCV without windows needs neither
    pip_install -q --force-reinstall --no-deps opencv-python-headless
fi
if ! has_operators; then # pip's cache knows nothing of torch's version, of CUDA and of MMCV_WITH_OPS
    say "The mmcv that pip kept does not fit this torch: building it anew"
    "$python" -m pip cache remove "mmcv-*-cp${version/./}-*" >/dev/null 2>&1 || true
    build --force-reinstall --no-deps mmcv
fi
"$python" -W ignore -m detkds_gp.environment
rm -rf "$TMPDIR"
echo "$wanted" >"$venv/.ready"
say "Ready: .venv/bin/gp_search --help"
