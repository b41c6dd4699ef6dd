// SPDX-License-Identifier: Apache-2.0
#include "engine/file_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <vector>

namespace truekeel::engine {

Result<std::string> hash_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> block(1 << 20);
  while (file) {
    const auto bytes = std::fread(block.data(), 1, block.size(), file.get());
    XXH3_128bits_update(state.get(), block.data(), bytes);
    if (bytes == block.size()) continue;
    if (std::ferror(file.get()) != 0) break;
    const auto hash = XXH3_128bits_digest(state.get());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }
  return fail(ErrorCode::io,
              fmt::format("cannot read '{}': {}", path, std::generic_category().message(errno)));
}

}  // namespace truekeel::engine
