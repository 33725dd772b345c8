#!/bin/sh
# Installs files of pinned packages into .venv, which is made first where it is missing or broken.
#
#   sh requirements/install.sh requirements.txt […]
#
# PYTHON names the Python to use; without it the first of 3.13, 3.12 and 3.11 that runs is taken.
set -eu
cd "$(dirname "$0")/.."

in_range='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
python=.venv/bin/python
again="That did not work; what has been downloaded is kept. Mend the cause named above, then the same command again."

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# A Python that is only named on the PATH, as version managers do, does not count: it has to run.
find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if "$candidate" -c "$in_range" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
}

make_environment() {
    found=$(find_python)
    [ -n "$found" ] || fail \
        "No Python 3.11, 3.12 or 3.13 runs here (tried: ${PYTHON:-python3.13, python3.12, python3.11, python3})." \
        "Install one (on Debian: apt-get install python3 python3-venv), or name it: make install PYTHON=/path/to/python3.12"
    version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! "$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        sh .ci/need "python$version-venv" "Python's part that makes environments, which Debian ships apart"
    fi
    echo "Making .venv with Python $version."
    "$found" -m venv --clear .venv
}

# pip's own settings for a mirror or a certificate count for uv too, which does not read them itself.
follow_pip() {
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        index=${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
        if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
    fi
    if [ -z "${SSL_CERT_FILE:-}" ]; then
        certificate=${PIP_CERT:-$("$python" -m pip config get global.cert 2>/dev/null || true)}
        if [ -n "$certificate" ]; then export SSL_CERT_FILE="$certificate"; fi
    fi
}

"$python" -c "$in_range" >/dev/null 2>&1 || make_environment

if ! "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m ensurepip >/dev/null
fi
installer=$(grep '^uv==' requirements/uv.txt)
if [ "$("$python" -m pip freeze 2>/dev/null | grep '^uv==')" != "$installer" ]; then
    echo "Installing the installer ($installer, about 25 MB)."
    "$python" -m pip install --quiet --disable-pip-version-check --requirement requirements/uv.txt || fail "$again"
fi

follow_pip
for file in "$@"; do
    echo "Installing what $file names, then compiling it to bytecode."
    UV_PYTHON_DOWNLOADS=never UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-120}" \
        "$python" -m uv pip install --python "$python" --compile-bytecode --requirement "$file" || fail "$again"
done
