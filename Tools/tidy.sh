#!/usr/bin/env bash
# Builds the tidy tool against the toolchain's own SwiftSyntax and runs it over the sources.
set -euo pipefail
cd "$(dirname "$0")/.."
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
export SWIFT_HOST_LIBS="$toolchain/lib/swift/host"
swift build -q --package-path Tools/Tidy --scratch-path build/tidy -c debug
# Manifest facts come from the manifest itself: which module may import which.
swift package dump-package >build/package.json
build/tidy/debug/tidy build/package.json Sources Tests examples
