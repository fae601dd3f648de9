#!/usr/bin/env bash
# Everything that only an NVIDIA GPU can show, in under nine minutes: bash benchmarks/gpu_check.sh
#
# Run from anywhere in a checkout, with Python 3.11 or 3.12 and PyTorch 2.11 or newer. What it finds is in $OUT, also
# when it is cut off:
#   report.txt       read this first: what was found, stage by stage
#   pytest.txt       tests/gpu
#   operations.txt   single operations of an update
#   train_metrics.jsonl, train_evaluations.jsonl    of the training run at the end
#   logs.tgz         all output, and the numbers as JSON
#
# A machine without a network wants its packages beside the checkout: on another machine, in the checkout's root,
#   python scripts/offline_wheels.py --python 3.12          # makes .whl; torch and numpy must be on the machine already
#   mkdir -p .gl && (cd .gl && apt-get download libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2)
# Both folders are used where they exist (as root, since .gl is unpacked into the system), else what is installed.
#
# STAGES    which to run, of: install drawing tests speed operations updates end_to_end train
# LIMIT     seconds for all of it (530); the last RESERVE (110) are kept for the training run
# OTHER     the src folder of another version of Saccade, whose updates are timed beside this one's in "speed"
# METHODS   whose updates are timed in "speed" (sgqn sac)
# PY, OUT, WORK    the interpreter, the folder for results, the folder for everything else
# MUJOCO_GL is egl; set it to nothing to let Saccade choose.
# DRY=1     walks through all stages on a CPU with tiny numbers, in about two minutes
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.."

STAGES=${STAGES:-install drawing tests speed operations updates end_to_end train}
LIMIT=${LIMIT:-530} RESERVE=${RESERVE:-110}
PY=${PY:-python3} OUT=${OUT:-$PWD/runs/gpu_check} METHODS=${METHODS:-sgqn sac} OTHER=${OTHER:-} DRY=${DRY:-}
WORK=${WORK:-$(mktemp -d)}
KEPT_EVERY=${KEPT_EVERY:-15} # seconds
START=$(date +%s)
mkdir -p "$OUT" "$WORK"
REPORT=$OUT/report.txt
: >"$REPORT"

if [ -n "$DRY" ]; then
    DEVICE=cpu COMPILE=off PROCESSES="1 2"
    DRAW="--steps 2"
    SPEED="--preset small --precision float32 --updates 2"
    OPERATIONS="--batch-size 2 --repeats 1 --matrix-side 128 --copied-megabytes 1"
    UPDATES="--preset small --batch-size 2 --updates 2 --threads 1 --no-memory"
    RUN="--preset small --envs 2 --image-count 32 --threads 1" # end_to_end takes longer than the rest together
    END_TO_END="--steps 12 --random-steps 4 --evaluate-every 0"
    TRAIN="--steps 24 --random-steps 8 --evaluate-every 0 --evaluation-episodes 1 --evaluation-modes train --log-every 4"
    TRAIN="$TRAIN --render-quality fast" COUNTED_AFTER=4 PRECISIONS=float32 TEST_PROCESSES=0
else
    DEVICE=cuda COMPILE=auto PROCESSES="1 16"
    DRAW="--steps 100"
    SPEED="--preset paper"
    OPERATIONS=""
    UPDATES="--preset paper --updates 40"
    RUN="--preset paper --envs 16 --image-count 256"
    END_TO_END="--steps 1200 --random-steps 400 --evaluate-every 800"
    TRAIN="--evaluate-every 5000 --checkpoint-every 5000 --log-every 250" COUNTED_AFTER=1500 PRECISIONS="bfloat16 float32" TEST_PROCESSES=4
fi
WORKERS="" # of environments; what the machine allows, unless drawing fails

case " $STAGES " in *" train "*) ;; *) RESERVE=0 ;; esac
left() { echo $((LIMIT - ($(date +%s) - START))); }
say() { echo "[$(($(date +%s) - START)) s] $*" | tee -a "$REPORT"; }
tell() { tee -a "$REPORT"; }
wants() { # STAGE SECONDS: whether it is asked for, and there is time for it to say something
    case " $STAGES " in *" $1 "*) [ "$(($(left) - RESERVE))" -gt "$2" ] ;; *) false ;; esac
}
within() { # SECONDS COMMAND...: never beyond the budget; SIGINT first, so that a training run saves itself
    local seconds=$1 most=$(($(left) - 8 - RESERVE))
    shift
    [ "$seconds" -lt "$most" ] || seconds=$most
    [ "$seconds" -ge 5 ] || return 99
    timeout --foreground -s INT -k 12 "$seconds" "$@" # without --foreground the signal comes twice, and a run leaves at once
}
last() { grep -v '^[[:space:]]*$' "$1" | tail -1 | cut -c1-250; }
keep() { # what comes back whatever happens next; each file is replaced at once, never half written
    local name new=$OUT/.new.$BASHPID
    for name in pytest.txt operations.txt; do
        [ -f "$WORK/$name" ] && cp "$WORK/$name" "$new" && mv "$new" "$OUT/$name"
    done
    for name in metrics evaluations; do
        [ -f "$WORK/run/$name.jsonl" ] || continue
        tail -c 8000000 "$WORK/run/$name.jsonl" >"$new" && mv "$new" "$OUT/train_$name.jsonl"
    done
    (cd "$WORK" && tar czf "$new" --ignore-failed-read ./*.txt ./*.log ./*.json run/*.json 2>/dev/null)
    mv "$new" "$OUT/logs.tgz"
}
(while sleep "$KEPT_EVERY"; do keep; done) &
KEEPER=$!
trap 'kill $KEEPER 2>/dev/null; wait $KEEPER 2>/dev/null; keep' EXIT
trap 'exit 130' INT TERM

# --- what the machine has -----------------------------------------------------------------------------------------------

SITE=$WORK/site
export PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=passive PYTHONPATH=$SITE:$PWD/src${PYTHONPATH:+:$PYTHONPATH}
export SACCADE_CACHE=${SACCADE_CACHE:-$WORK/cache} TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$WORK/cache/inductor}
export TORCHINDUCTOR_COMPILE_THREADS=${TORCHINDUCTOR_COMPILE_THREADS:-8} # of each process, several of which compile at once
if [ -z "$DRY" ]; then
    export MUJOCO_GL=${MUJOCO_GL-egl}
    [ -z "$MUJOCO_GL" ] && unset MUJOCO_GL || export PYOPENGL_PLATFORM=$MUJOCO_GL
fi

if wants install 1 && [ -z "$DRY" ]; then
    say "installing what lies beside the checkout"
    for deb in .gl/*.deb; do [ -f "$deb" ] && dpkg -x "$deb" / >>"$WORK/install.log" 2>&1; done
    if [ -d /usr/local/nvidia ] && [ -w /etc/ld.so.conf.d ]; then
        ls -d /usr/local/nvidia/lib64 /usr/local/nvidia/lib >/etc/ld.so.conf.d/saccade-gpu-check.conf 2>/dev/null
        ldconfig 2>>"$WORK/install.log"
    fi
    if ls .whl/*.whl >/dev/null 2>&1; then
        "$PY" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$SITE" .whl/*.whl \
            >>"$WORK/install.log" 2>&1 || say "  pip FAILED: $(last "$WORK/install.log")"
    fi
fi
vendor=/usr/local/nvidia/share/glvnd/egl_vendor.d/10_nvidia.json # where containers get the driver
if [ -f "$vendor" ] && [ ! -e /usr/share/glvnd/egl_vendor.d/10_nvidia.json ]; then
    export __EGL_VENDOR_LIBRARY_FILENAMES=$vendor
fi
if wants install 1; then
    {
        nvidia-smi
        "$PY" -c "import sys, torch
python = sys.version.split()[0]
gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'none'
print('python', python, 'torch', torch.__version__, 'cuda', torch.version.cuda, 'gpu', gpu)"
        within 30 "$PY" -m saccade.cli doctor
        ls -l /dev/nvidia*
        ldconfig -p | grep -E "EGL|libOpenGL|libGL\.|OSMesa"
    } >"$WORK/machine.txt" 2>&1
    grep "^python" "$WORK/machine.txt" | tell
fi

# --- pictures: does the GPU draw, also for many processes at once, and beside a busy one ------------------------------------

if wants drawing 60; then
    say "drawing"
    busy=""
    for processes in $PROCESSES; do
        within 60 "$PY" benchmarks/drawing.py --processes "$processes" $DRAW >"$WORK/drawing_$processes.txt" 2>&1
        code=$?
        last "$WORK/drawing_$processes.txt" | tell
        busy="--busy --processes $processes"
        [ $code -eq 0 ] && continue
        busy=""
        if [ "$processes" = 1 ]; then
            WORKERS=none && say "  NO PICTURES: the stages with environments are left out" && break
        fi
        WORKERS="--workers 1" && say "  many renderers FAILED: one process for all environments from here on"
    done
    if [ -n "$busy" ]; then
        within 60 "$PY" benchmarks/drawing.py $busy $DRAW >"$WORK/drawing_busy.txt" 2>&1
        sed "s/^/beside matrix products: /" "$WORK/drawing_busy.txt" | tail -2 | tell
    fi
    keep
fi

# --- tests, and beside them the compiler fills its cache for what is timed afterwards ----------------------------------------

versions() { echo "$PWD/src" "$OTHER"; }
name_of() { [ "$1" = "$PWD/src" ] && echo "$2" || echo "${2}_other"; }
if wants tests 60; then
    say "tests/gpu, and compiling beside them"
    compiling=()
    for version in $([ "$COMPILE" = off ] || versions); do
        for method in $METHODS; do
            PYTHONPATH=$version:$PYTHONPATH within 240 "$PY" benchmarks/whole_update.py "$method" --device $DEVICE \
                --compile $COMPILE $SPEED --updates 2 >"$WORK/compiling_$(name_of "$version" "$method").log" 2>&1 &
            compiling+=($!)
        done
    done
    within 240 "$PY" -m pytest tests/gpu -q -n $TEST_PROCESSES -p no:cacheprovider -p no:benchmark --durations 8 --tb short \
        >"$WORK/pytest.txt" 2>&1
    say "  exit code $?: $(last "$WORK/pytest.txt")"
    grep -E "^(FAILED|ERROR)" "$WORK/pytest.txt" | cut -c1-200 | head -30 | tell
    [ ${#compiling[@]} -eq 0 ] || wait "${compiling[@]}"
    for method in $([ "$COMPILE" = off ] || echo $METHODS); do # where another version fails, this one need not
        grep -q "ms an update" "$WORK/compiling_$method.log" && continue
        failed=$(grep -E "Error" "$WORK/compiling_$method.log" | tail -1 | cut -c1-300)
        [ -n "$failed" ] && COMPILE=off && say "  COMPILED $method FAILED: $failed; going on with --compile off"
    done
    keep
fi

# --- the update of a training run, of this version and of another ------------------------------------------------------------

if wants speed 30; then
    for method in $METHODS; do
        for version in $(versions); do
            name=speed_$(name_of "$version" "$method")
            PYTHONPATH=$version:$PYTHONPATH within 90 "$PY" benchmarks/whole_update.py "$method" --device $DEVICE \
                --compile $COMPILE $SPEED --out "$WORK/$name.json" >"$WORK/$name.txt" 2>&1
            say "$name: $(grep -E "ms an update|Error" "$WORK/$name.txt" | tail -1 | cut -c1-250)"
            grep -E -A12 "^kernels" "$WORK/$name.txt" | tell
            grep -E "^memory" "$WORK/$name.txt" | tell
            keep
        done
    done
fi

if wants operations 20; then
    within 60 "$PY" benchmarks/gpu_operations.py --device $DEVICE $OPERATIONS --out "$WORK/operations.json" \
        >"$WORK/operations.txt" 2>&1
    say "operations: exit code $?, $(wc -l <"$WORK/operations.txt") in operations.txt"
    keep
fi

# --- updates side by side, the authors' passes included -----------------------------------------------------------------------

if wants updates 30; then
    for precision in $PRECISIONS; do
        say "updates in $precision"
        within 65 "$PY" benchmarks/updates.py --device $DEVICE --methods sac sgqn --precision $precision $UPDATES \
            --compile "$([ $COMPILE = off ] && echo off || echo on)" --out "$WORK/updates_$precision.json" \
            >"$WORK/updates_$precision.txt" 2>"$WORK/updates_$precision.log" ||
            say "  exit code $?: $(last "$WORK/updates_$precision.log")"
        head -16 "$WORK/updates_$precision.txt" | tell
        keep
    done
fi

# --- whole runs -----------------------------------------------------------------------------------------------------------------

if [ "$WORKERS" != none ] && wants end_to_end 30; then
    say "end to end"
    within 105 "$PY" benchmarks/end_to_end.py --device $DEVICE --compile $COMPILE $RUN $WORKERS $END_TO_END --episodes 1 \
        --out "$WORK/end_to_end.json" >"$WORK/end_to_end.txt" 2>"$WORK/end_to_end.log" ||
        say "  exit code $?: $(last "$WORK/end_to_end.log")"
    tell <"$WORK/end_to_end.txt"
    keep
fi

RESERVE=0
if [ "$WORKERS" != none ] && wants train 30; then
    for choice in $COMPILE off; do # without compilation only where the run with it ends at once
        rm -rf "$WORK/run"
        say "saccade train sgqn dmc/walker_walk --compile $choice $RUN $WORKERS $TRAIN"
        within "$(($(left) - 14))" "$PY" -m saccade.cli train sgqn dmc/walker_walk --device $DEVICE --compile $choice \
            $RUN $WORKERS $TRAIN --out "$WORK/run" >"$WORK/train_$choice.log" 2>&1
        code=$?
        say "  exit code $code (124, 130: it was stopped and saved itself): $(last "$WORK/train_$choice.log")"
        case $code in 0 | 124 | 130) break ;; esac
        [ "$choice" != off ] && [ "$(left)" -gt 40 ] || break
    done
    "$PY" benchmarks/training_rate.py "$WORK/run" --after $COUNTED_AFTER 2>&1 | tell
fi
say "done"
