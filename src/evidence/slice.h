// SPDX-License-Identifier: Apache-2.0
// Slices of the traffic: conjunctions of at most three attributes. Thread safety: values; ValueNames serves
// one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace truekeel::evidence {

/// In the order of the action that each invites, smallest first: one server is drained before a version is
/// pinned, and that before a pool is shifted. What invites no action stands last.
enum class Attribute : std::uint8_t {
  endpoint,
  fingerprint,
  version,
  hardware,
  pool,
  context_class,
  reference,
  batch_size,
  process_age,
  prompt_length,
  client_version,
};

inline constexpr std::size_t kAttributes = 11;

/// As in incidents, in the configuration and on screens.
[[nodiscard]] std::string_view name(Attribute attribute);

/// True for attributes that clients shape; slices with one are shown from a number of clients on.
[[nodiscard]] constexpr bool client_derived(Attribute attribute) {
  return attribute == Attribute::prompt_length || attribute == Attribute::client_version;
}

/// Number of a value of an attribute; 0: unknown, never part of a slice.
using ValueId = std::uint32_t;

/// Where an item stands: one value per attribute.
struct Coordinates {
  std::array<ValueId, kAttributes> value = {};

  ValueId& operator[](Attribute attribute) { return value[static_cast<std::size_t>(attribute)]; }
  ValueId operator[](Attribute attribute) const { return value[static_cast<std::size_t>(attribute)]; }
  bool operator==(const Coordinates&) const = default;
};

class Slice {
 public:
  static constexpr std::size_t kDepthMax = 3;

  struct Term {
    Attribute attribute;
    ValueId value;
  };

  Slice() = default;  ///< everything
  /// Requires: at most kDepthMax terms, with different attributes, in any order; values in [1, kValueMax].
  explicit Slice(std::span<const Term> terms);

  static constexpr ValueId kValueMax = (1u << 28) - 1;

  [[nodiscard]] std::size_t depth() const { return depth_; }
  [[nodiscard]] Term term(std::size_t i) const {
    return {static_cast<Attribute>(packed_[i] >> 28), packed_[i] & kValueMax};
  }

  /// True when an item with these coordinates belongs to the slice.
  [[nodiscard]] bool holds(const Coordinates& item) const;
  /// True when no item can belong to both: they ask for different values of one attribute.
  [[nodiscard]] bool excludes(const Slice& other) const;
  /// True when it asks for all that `other` asks for, and for more.
  [[nodiscard]] bool refines(const Slice& other) const;
  /// What belongs to both. Nothing when that takes more than kDepthMax terms. Requires: neither excludes the
  /// other.
  [[nodiscard]] std::optional<Slice> both(const Slice& other) const;
  /// True when it contains an attribute that clients shape.
  [[nodiscard]] bool client_derived() const;
  /// True when it says which servers alone, and so invites an action: neither everything nor a kind of
  /// request.
  [[nodiscard]] bool names_servers() const;
  [[nodiscard]] std::uint64_t hash() const;

  bool operator==(const Slice&) const = default;

 private:
  std::array<std::uint32_t, kDepthMax> packed_ = {};  // attribute << 28 | value, by attribute, ascending
  std::uint32_t depth_ = 0;
};

struct SliceHash {
  std::size_t operator()(const Slice& slice) const { return slice.hash(); }
};

/// True when the action that `a` invites is smaller than that of `b`; total, so that a least one exists.
[[nodiscard]] bool smaller_action(const Slice& a, const Slice& b);

/// The 232 sets of at most three attributes, as bit masks, shallow ones first.
[[nodiscard]] std::span<const std::uint16_t> attribute_sets();

/// Names of values, both ways. Bounded: what comes beyond the bound is unknown (0), and counted.
class ValueNames {
 public:
  explicit ValueNames(std::size_t per_attribute_max = 1u << 16) : max_(per_attribute_max) {}

  static constexpr std::size_t kTextMax = 256;  ///< longer texts are unknown, too

  [[nodiscard]] ValueId intern(Attribute attribute, std::string_view text);
  /// 0 when there is no such value.
  [[nodiscard]] ValueId find(Attribute attribute, std::string_view text) const;
  /// Empty for 0.
  [[nodiscard]] std::string_view text(Attribute attribute, ValueId value) const;
  [[nodiscard]] std::size_t count(Attribute attribute) const;
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  /// Forgets all values, and keeps the bound.
  void clear();

  /// "endpoint=s1, version=v2"; "all traffic" for the slice without terms.
  [[nodiscard]] std::string describe(const Slice& slice) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Table {
    std::unordered_map<std::string, ValueId, Hash, std::equal_to<>> ids;
    std::vector<std::string> texts;
  };
  std::array<Table, kAttributes> tables_;
  std::size_t max_;
  std::uint64_t refused_ = 0;
};

}  // namespace truekeel::evidence
