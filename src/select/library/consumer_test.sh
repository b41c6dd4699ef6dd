#!/bin/sh
# Installs the library into an empty folder and builds the example against it as a user would.
# usage: consumer_test.sh BUILD_DIR EXAMPLE_DIR C_COMPILER CXX_COMPILER LLAMA_SOURCES LLAMA_BUILD
set -eu
build=$1 example=$2 cc=$3 cxx=$4 llama_src=$5 llama_build=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake --install "$build" --component select --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }

# find_package, shared and static
cmake -G Ninja -S "$example" -B "$work/example" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx"
cmake --build "$work/example"
by_shared=$("$work/example/select_example")
by_static=$("$work/example/select_example_static")

# pkg-config; the file names the prefix that the build was configured with, so it is told the real one
pc=$(find "$prefix" -name pkgconfig)
flags=$(PKG_CONFIG_PATH=$pc pkg-config --define-variable=prefix="$prefix" --cflags --libs truekeel_select)
libdir=$(dirname "$pc")
# shellcheck disable=SC2086
"$cc" "$example/select_example.c" $flags -Wl,-rpath,"$libdir" -o "$work/by_pkg_config"
by_pkg_config=$("$work/by_pkg_config")

echo "$by_shared"
[ "$by_shared" = "$by_static" ] && [ "$by_shared" = "$by_pkg_config" ]

# The plug-in, in a program that brings its own libllama
"$cc" -I"$prefix/include" -I"$llama_src/include" -I"$llama_src/ggml/include" -c "$example/../llama_sampler.c" -o "$work/plugin.o"
"$cxx" "$work/plugin.o" "$libdir/libtruekeel_llama_sampler.a" "$libdir/libtruekeel_select.a" -Wl,--start-group \
  "$llama_build/src/libllama.a" "$llama_build"/ggml/src/libggml*.a -Wl,--end-group -lhwy -lpthread -ldl -lm -o "$work/plugin"
"$work/plugin" 2>&1 | grep -q '^llama_sampler_example: usage'

# What the header declares is exported with its version, and nothing else.
declared=$(tr '\n' ' ' <"$prefix/include/truekeel/select.h" | grep -oE 'TK_SELECT_API [^;(]*\(' | grep -oE 'tk_select[a-z_]*\(' | tr -d '(' | sort)
exported=$(nm -D --defined-only "$libdir"/libtruekeel_select.so | sed 's/.* //' | grep -v '^TRUEKEEL_SELECT_1$' | sort)
wanted=$(echo "$declared" | sed 's/$/@@TRUEKEEL_SELECT_1/')
[ "$exported" = "$wanted" ] || { echo "declared: $wanted"; echo "exported: $exported"; exit 1; }
