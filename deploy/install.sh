#!/bin/sh
# Installs a server from this checkout: sh deploy/install.sh /opt/latchkey
# The Dockerfile runs this too, and so do the tests. PYTHON names another interpreter.
set -eu
prefix=$1
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."

mkdir -p "$prefix"
"$python" -m venv "$prefix/venv"
# Every package is the very file whose hash is in requirements.lock, or nothing is installed.
"$prefix/venv/bin/python" -m pip install --disable-pip-version-check --quiet \
    --only-binary :all: --require-hashes --requirement requirements.lock
for part in server handlers templates static translations docs; do
    rm -rf "${prefix:?}/$part"
    cp -R "$part" "$prefix/$part"
done
# Those who run it may not write here, so what Python would write is there already.
"$prefix/venv/bin/python" -m compileall -q "$prefix/server" "$prefix/handlers"
