#!/bin/sh
# Run a command as the owner of a folder, with no capability and no way to get one: owner.sh FOLDER COMMAND...
# A folder of root's (a clone made by root, rootless Docker) keeps user id 0, with nothing of root's power.
set -eu
folder=$1
shift
grep -q '^CapEff:.*[1-9a-f]' /proc/self/status || exec "$@"
exec setpriv --reuid "$(stat -c %u "$folder")" --regid "$(stat -c %g "$folder")" --clear-groups \
  --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
