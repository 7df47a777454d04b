#!/bin/sh
# Make .venv with everything that requirements-dev.lock names, then the package itself, editable. Does nothing when the lock,
# pyproject.toml and the folder are those of the last time. PYTHON chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

runs() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

state() { pwd && cksum requirements-dev.lock pyproject.toml scripts/install.sh; }

find_python() {
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.14 python3.11}; do
        if runs "$name"; then
            command -v "$name"
            return
        fi
    done
    say "Python 3.11 or newer is needed${PYTHON:+, and $PYTHON is not that}. Install one, or name it: make install PYTHON=/path/to/python3"
    return 1
}

need_venv() {
    # ensurepip is what Debian and Ubuntu leave out of python3
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 && return
    package=$("$1" -c 'import sys; print("python3-venv" if sys.executable.endswith(("/python3", "/python")) else f"python3.{sys.version_info[1]}-venv")')
    sudo=$([ "$(id -u)" = 0 ] || echo "sudo ")
    say "$1 cannot make virtual environments. Cure it with: ${sudo}apt-get install -y $package"
    return 1
}

if [ -f .venv/installed ] && [ "$(cat .venv/installed)" = "$(state)" ] && runs .venv/bin/python; then
    exit 0
fi
rm -f .venv/installed
say "Installing into .venv …"
if uv --version >/dev/null 2>&1; then
    runs .venv/bin/python || uv venv --quiet --clear ${PYTHON:+--python "$PYTHON"} .venv
    uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements-dev.lock
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
else
    if ! runs .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        need_venv "$python"
        "$python" -m venv --clear .venv
    fi
    pip=".venv/bin/python -m pip -qq --disable-pip-version-check"
    $pip install --require-hashes -r requirements-dev.lock
    $pip install --no-deps --no-build-isolation --editable .
fi
state >.venv/installed
