#!/bin/sh
# Installs the kit into an empty folder and builds the example against it as a user would: its sampler conforms, a faulty one does not.
# usage: consumer_test.sh BUILD_DIR EXAMPLE_DIR CXX_COMPILER
set -eu
build=$1 example=$2 cxx=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component conformance --prefix "$work/prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
cmake -G Ninja -S "$example" -B "$work/example" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$cxx"
cmake --build "$work/example"
"$work/example/conformance_example"
code=0
"$work/example/conformance_example" skip || code=$?
[ "$code" = 1 ]
