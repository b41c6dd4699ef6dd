// SPDX-License-Identifier: Apache-2.0
#include "gateway/webhook_signature.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

namespace truekeel::gateway {
namespace {

constexpr std::string_view kPrefix = "whsec_";

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3, '\0');
  const int written = text.size() % 4 != 0
                          ? -1
                          : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                            reinterpret_cast<const unsigned char*>(text.data()),
                                            static_cast<int>(text.size()));
  if (written < 0) return fail(ErrorCode::invalid_argument, "what follows whsec_ is no base64");
  const auto padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(written - padding));
  return bytes;
}

}  // namespace

Result<WebhookKey> WebhookKey::parse(std::string_view secret) {
  std::string key(secret);
  if (secret.starts_with(kPrefix)) {
    auto decoded = from_base64(secret.substr(kPrefix.size()));
    if (!decoded) return std::unexpected(decoded.error());
    key = std::move(*decoded);
  }
  if (key.empty()) return fail(ErrorCode::invalid_argument, "the secret is empty");
  return WebhookKey(std::move(key));
}

std::string WebhookKey::sign(std::string_view id, std::int64_t timestamp_s, std::string_view body) const {
  const auto text = fmt::format("{}.{}.{}", id, timestamp_s, body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned bytes = 0;
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &bytes);
  return "v1," + base64({reinterpret_cast<const char*>(mac.data()), bytes});
}

}  // namespace truekeel::gateway
