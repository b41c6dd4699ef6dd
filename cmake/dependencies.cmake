# Libraries: Debian's packages, and three sources that ./dev fetches (tools/setup/pins.json).
# Why each one: docs/dependencies.md.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(simdjson REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(hwy REQUIRED IMPORTED_TARGET libhwy)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)

# Boost.Asio, header only. Frames of coroutines come from plain operator new: glibc serves aligned_alloc, which
# Asio would take, without the caches of its threads.
add_library(asio INTERFACE)
target_compile_definitions(asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY
  BOOST_ASIO_DISABLE_STD_ALIGNED_ALLOC BOOST_ASIO_DISABLE_BOOST_ALIGN)
target_link_libraries(asio INTERFACE Threads::Threads)

# llhttp: the HTTP/1.1 parser of Node.js.
file(GLOB llhttp_sources ${TRUEKEEL_CACHE}/src/llhttp/src/*.c)
add_library(llhttp STATIC ${llhttp_sources})
target_include_directories(llhttp SYSTEM PUBLIC ${TRUEKEEL_CACHE}/src/llhttp/include)

# llama.cpp: built by ./dev into the cache, used as it is.
add_library(llama INTERFACE)
target_include_directories(llama SYSTEM INTERFACE
  ${TRUEKEEL_LLAMA_SRC}/include ${TRUEKEEL_LLAMA_SRC}/ggml/include
  ${TRUEKEEL_LLAMA_SRC}/common)
target_link_libraries(llama INTERFACE
  -Wl,--start-group
  ${TRUEKEEL_LLAMA_BUILD}/common/libllama-common.a
  ${TRUEKEEL_LLAMA_BUILD}/common/libllama-common-base.a
  ${TRUEKEEL_LLAMA_BUILD}/vendor/cpp-httplib/libcpp-httplib.a
  ${TRUEKEEL_LLAMA_BUILD}/vendor/hash/libvendor-hash.a
  ${TRUEKEEL_LLAMA_BUILD}/src/libllama.a
  ${TRUEKEEL_LLAMA_BUILD}/ggml/src/libggml.a
  ${TRUEKEEL_LLAMA_BUILD}/ggml/src/libggml-cpu.a
  ${TRUEKEEL_LLAMA_BUILD}/ggml/src/libggml-base.a
  -Wl,--end-group
  Threads::Threads ${CMAKE_DL_LIBS} m)
