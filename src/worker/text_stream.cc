// SPDX-License-Identifier: Apache-2.0
#include "worker/text_stream.h"

#include <algorithm>

#include "base/assert.h"

namespace truekeel::worker {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

struct Character {
  enum Kind { whole, unfinished, wrong } kind;
  std::size_t size;  // of a wrong one: the bytes that one replacement stands for (Unicode 15, 3.9, D93b)
};

/// What the text begins with. Requires: not empty.
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {Character::whole, 1};
  const std::size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                           : lead >= 0xe0 && lead <= 0xef ? 3
                           : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                          : 0;
  if (size == 0) return {Character::wrong, 1};
  // The second byte is bound further: no overlong forms, no surrogates, nothing beyond U+10FFFF.
  const unsigned least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (std::size_t i = 1; i < size; ++i) {
    if (i == text.size()) return {Character::unfinished, i};
    if (byte(i) < (i == 1 ? least : 0x80) || byte(i) > (i == 1 ? most : 0xbf)) return {Character::wrong, i};
  }
  return {Character::whole, size};
}

}  // namespace

std::string TextStream::push(std::string_view bytes) {
  TK_ASSERT(!stopped_);
  bytes_ += bytes;
  std::string_view rest = bytes_;
  while (!rest.empty()) {
    const auto [kind, size] = first_character(rest);
    if (kind == Character::unfinished) break;
    text_ += kind == Character::whole ? rest.substr(0, size) : kReplacement;
    rest.remove_prefix(size);
  }
  bytes_.erase(0, bytes_.size() - rest.size());

  std::size_t end = std::string::npos;
  for (const auto& stop : stop_) end = std::min(end, text_.find(stop));
  stopped_ = end != std::string::npos;
  if (!stopped_) end = text_.size() - held_back();
  std::string shown = text_.substr(0, end);
  text_.erase(0, end);
  return shown;
}

/// The length of the longest end of the text that begins a stop string.
std::size_t TextStream::held_back() const {
  std::size_t longest = 0;
  for (const auto& stop : stop_) {
    for (auto size = std::min(stop.size() - 1, text_.size()); size > longest; --size) {
      if (text_.ends_with(std::string_view(stop).substr(0, size))) longest = size;
    }
  }
  return longest;
}

std::string TextStream::finish() {
  if (stopped_) return {};
  std::string rest = std::move(text_);
  if (!bytes_.empty()) rest += kReplacement;
  text_.clear();
  bytes_.clear();
  return rest;
}

}  // namespace truekeel::worker
