#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Includes point one way: tools -> restore -> journal -> cdp; and the top level holds what it should.
#   layers_test.sh [ROOT]    fails, naming the lines, when one points back
set -u
root=${1:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$root" || exit 1

# points_back LAYER FORBIDDEN...: prints the includes in LAYER of any FORBIDDEN layer.
points_back() {
  local layer=$1 forbidden
  shift
  forbidden=$(IFS='|'; echo "$*")
  grep -rnE --include='*.h' --include='*.cc' "^#include [\"<]($forbidden)/" "$layer"
}

failed=0
for rule in "cdp journal restore tools tests" "journal restore tools tests" "restore tools tests" "tools tests"; do
  # shellcheck disable=SC2086
  if points_back $rule; then failed=1; fi
done
[ "$failed" = 0 ] || echo "FAILED: the includes above point against the layers (tools -> restore -> journal -> cdp)"

# The check itself must be able to fail.
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
mkdir "$probe/cdp"
echo '#include "journal/journal.h"' >"$probe/cdp/bad.h"
(cd "$probe" && points_back cdp journal >/dev/null) || { echo "FAILED: a bad include went unnoticed"; failed=1; }

extra=$(ls | grep -vxE 'CMakeLists\.txt|CMakePresets\.json|LICENSE|README\.md|build|cdp|journal|restore|tests|tools')
[ -z "$extra" ] || { echo "FAILED: not of the layout at the top level: $extra"; failed=1; }
exit "$failed"
