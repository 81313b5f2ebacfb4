#!/usr/bin/env bash
# One night on one machine: takes what is new, adds a shard set, and ends with winnow's exit code.
#   nightly.sh CONFIG [NAME]        NAME is the shard set's; by default today's date (UTC).
# crontab:  15 2 * * *  /opt/winnow/nightly.sh /opt/winnow/nightly.yaml >>/var/log/winnow-nightly.log 2>&1
set -euo pipefail

config=${1:?usage: nightly.sh CONFIG [NAME]}
name=${2:-$(date -u +%F)}

exec 9>"${config}.lock"
if ! flock --nonblock 9; then
    echo "nightly.sh: another night is still at work on ${config}" >&2
    exit 3
fi

# 75: stopped in the middle (a reboot, a spot notice); once more goes on where it was
for attempt in 1 2 3; do
    code=0
    winnow run "${config}" --new-only --if-changed --as "${name}" --log-format json || code=$?
    if [[ ${code} -ne 75 ]]; then
        exit "${code}"
    fi
    echo "nightly.sh: stopped in attempt ${attempt}; again" >&2
done
exit 75
