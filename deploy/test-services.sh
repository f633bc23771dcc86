#!/bin/sh
# Installs the real programs that the tests talk to: Debian's Mosquitto, InfluxDB, VictoriaMetrics, PostgreSQL, mbpoll, Chromium and a
# Chinese font.
# As root or with sudo that asks for no password; otherwise it says what is missing, and the tests say what they left out.
set -eu
PATH=$PATH:/usr/sbin:/sbin
wanted=""
command -v mosquitto >/dev/null || wanted="$wanted mosquitto"
command -v influxd >/dev/null || wanted="$wanted influxdb"
command -v victoria-metrics >/dev/null || wanted="$wanted victoria-metrics"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || wanted="$wanted postgresql"
command -v mbpoll >/dev/null || wanted="$wanted mbpoll"
command -v chromium >/dev/null || wanted="$wanted chromium"
ldconfig -p | grep -q libatomic.so.1 || wanted="$wanted libatomic1" # Playwright's driver needs it
command -v openssl >/dev/null || wanted="$wanted openssl"
ls /usr/share/fonts/truetype/wqy/*.ttc >/dev/null 2>&1 || wanted="$wanted fonts-wqy-microhei"
[ -z "$wanted" ] && exit 0

if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo"; else
    echo "Not on this machine:$wanted. Tests that need them will be left out. To have them: sudo apt install$wanted" >&2
    exit 0
fi
command -v apt-get >/dev/null || { echo "Not on this machine:$wanted, and no apt-get to install them with." >&2; exit 0; }
printf '\033[1m==>\033[0m Installing for the tests:%s\n' "$wanted"
# The tests start their own on free ports; Debian's packages should not start theirs here (policy-rc.d, Debian Policy 9.3.3).
rc=/usr/sbin/policy-rc.d
made=""
if ! [ -e $rc ]; then printf '#!/bin/sh\nexit 101\n' | $as_root tee $rc >/dev/null; $as_root chmod +x $rc; made=1; fi
trap '[ -z "$made" ] || $as_root rm -f $rc' EXIT
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted >/dev/null
