// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <xxhash.h>

#include <limits>

namespace truekeel {

void ByteWriter::put_text(std::string_view text) {
  const std::string_view kept = text.substr(0, std::numeric_limits<std::uint16_t>::max());
  put(static_cast<std::uint16_t>(kept.size()));
  put_bytes(kept);
}

std::string ByteWriter::seal() && {
  put<std::uint64_t>(XXH3_64bits(bytes_.data(), bytes_.size()));
  return std::move(bytes_);
}

std::optional<std::string_view> unsealed(std::string_view bytes) {
  if (bytes.size() < sizeof(std::uint64_t)) return std::nullopt;
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(std::uint64_t));
  ByteReader sum(bytes.substr(body.size()));
  if (sum.get<std::uint64_t>() != XXH3_64bits(body.data(), body.size())) return std::nullopt;
  return body;
}

}  // namespace truekeel
