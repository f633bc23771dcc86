#!/usr/bin/env bash
# Makes .venv from one of the locks in requirements/ and says what it does. Usage: deploy/prepare.sh demo|dev|server|edge
# Runs again only when the lock or pyproject.toml has changed. Needs nothing but Python 3.11 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
extra=$1
lock=requirements/$extra.txt
stamp=.venv/.prepared-$extra
python=${PYTHON:-python3}
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

sum=$(cat "$lock" pyproject.toml | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && exit 0

command -v "$python" >/dev/null || { echo "No $python here. Another one: make PYTHON=python3.12 …" >&2; exit 2; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Gridcall needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Another one: make PYTHON=python3.12 …" >&2
    exit 2
}
if ! [ -x .venv/bin/pip ]; then
    say "Making a Python environment in .venv"
    if ! "$python" -m venv .venv >/tmp/gridcall-venv.$$ 2>&1; then
        # Debian keeps venv in a package of its own
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            say "Installing python3-venv, without which Debian's Python makes no environments"
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
            "$python" -m venv --clear .venv
        else
            cat /tmp/gridcall-venv.$$ >&2
            rm -rf .venv /tmp/gridcall-venv.$$
            echo "Python can't make environments here. Mend it with: sudo apt install python3-venv" >&2
            exit 2
        fi
    fi
    rm -f /tmp/gridcall-venv.$$
fi
packages=$(grep -c '==' "$lock")
say "Fetching $packages packages, each checked against its hash in $lock (about a minute the first time)"
progress='/^Collecting/ { printf "%s    %d of %d  %s", start, ++n, of, $2; fflush() }
          /^Installing/ { printf "%s    unpacking", start; fflush() } END { printf "%s", start }'
if [ -t 1 ]; then start=$'\r\033[K'; else start=""; progress='/^Successfully/ { print "    done" }'; fi
if ! .venv/bin/pip install --disable-pip-version-check --progress-bar off --require-hashes -r "$lock" |
    awk -v start="$start" -v of="$packages" "$progress"; then
    echo "Packages could not be fetched. Is the package registry reachable? A mirror: PIP_INDEX_URL=… make demo" >&2
    exit 2
fi
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
echo "$sum" >"$stamp"
say "Ready: $(.venv/bin/gridcall --version) in .venv"
