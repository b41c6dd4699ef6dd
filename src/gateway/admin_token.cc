// SPDX-License-Identifier: Apache-2.0
#include "gateway/admin_token.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

namespace truekeel::gateway {

Result<AdminToken> AdminToken::parse(std::string_view token) {
  if (token.size() < kBytesMin) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("it has {} characters, and at least {} are needed (openssl rand -hex 32)",
                            token.size(), kBytesMin));
  }
  return AdminToken(fleet::hash_key(token));
}

bool AdminToken::is_in(const http::Headers& headers) const {
  constexpr std::string_view kBearer = "bearer ";
  const auto value = headers.find("authorization").value_or("");
  if (!http::equal_ignoring_case(value.substr(0, kBearer.size()), kBearer)) return false;
  // Hashes are compared, so that neither time nor length tells of a part.
  const auto given = fleet::hash_key(value.substr(kBearer.size()));
  return CRYPTO_memcmp(given.data(), hash_.data(), hash_.size()) == 0;
}

}  // namespace truekeel::gateway
