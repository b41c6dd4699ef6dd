# Flags for our own code. Third-party code is built without them.

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
add_link_options(-fuse-ld=lld)

add_library(truekeel_flags INTERFACE)
target_compile_options(truekeel_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wthread-safety -Werror
  # Same bits from every compiler: no fusing of multiply and add unless the source says so.
  -ffp-contract=off)
target_include_directories(truekeel_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)

# Line tables are enough for a stack trace and keep builds small.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g1")

if(TRUEKEEL_SANITIZE)
  set(sanitize -fsanitize=${TRUEKEEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_compile_options(${sanitize})
  add_link_options(${sanitize})
  add_compile_definitions(TRUEKEEL_SANITIZED=1)
endif()
if(TRUEKEEL_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
