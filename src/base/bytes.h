// SPDX-License-Identifier: Apache-2.0
// Numbers and texts as bytes, for state that survives a restart: little-endian, numbers as they lie in
// memory, a checksum at the end. Thread safety: values; an object serves one thread.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace truekeel {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

class ByteWriter {
 public:
  template <class T>
    requires std::is_arithmetic_v<T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_bytes(std::string_view bytes) { bytes_.append(bytes); }
  /// u16 length and the bytes; what is longer is cut.
  void put_text(std::string_view text);

  /// All that was put, and its XXH3 behind it.
  [[nodiscard]] std::string seal() &&;

 private:
  std::string bytes_;
};

/// What was sealed, without its checksum; nothing when that is not its own.
[[nodiscard]] std::optional<std::string_view> unsealed(std::string_view bytes);

/// Reads in order; once something was missing or rejected, everything is 0 or empty and ok() is false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
    requires std::is_arithmetic_v<T>
  T get() {
    T value{};
    const std::string_view bytes = get_bytes(sizeof value);
    bytes.copy(reinterpret_cast<char*>(&value), sizeof value);  // nothing where it is missing
    return value;
  }
  std::string_view get_bytes(std::size_t size) {
    ok_ = ok_ && size <= bytes_.size();
    if (!ok_) return {};
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view get_text() { return get_bytes(get<std::uint16_t>()); }

  void reject_unless(bool condition) { ok_ = ok_ && condition; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace truekeel
