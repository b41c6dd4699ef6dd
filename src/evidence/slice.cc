// SPDX-License-Identifier: Apache-2.0
#include "evidence/slice.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

constexpr std::size_t kSets = 1 + 11 + 55 + 165;

constexpr auto kAttributeSets = [] {
  std::array<std::uint16_t, kSets> sets{};
  std::size_t count = 0;
  for (int depth = 0; depth <= static_cast<int>(Slice::kDepthMax); ++depth)
    for (std::uint32_t set = 0; set < 1u << kAttributes; ++set)
      if (std::popcount(set) == depth) sets[count++] = static_cast<std::uint16_t>(set);
  return sets;
}();

std::uint64_t mix(std::uint64_t x) {  // the finaliser of SplitMix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

std::string_view name(Attribute attribute) {
  constexpr std::array<std::string_view, kAttributes> kNames = {
      "endpoint",  "fingerprint", "version",     "hardware",      "pool",          "class",
      "reference", "batch_size",  "process_age", "prompt_length", "client_version"};
  return kNames[static_cast<std::size_t>(attribute)];
}

Slice::Slice(std::span<const Term> terms) : depth_(static_cast<std::uint32_t>(terms.size())) {
  TK_ASSERT(terms.size() <= kDepthMax);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    TK_ASSERT(terms[i].value >= 1 && terms[i].value <= kValueMax);
    packed_[i] = static_cast<std::uint32_t>(terms[i].attribute) << 28 | terms[i].value;
  }
  std::sort(packed_.begin(), packed_.begin() + depth_);
  for (std::size_t i = 1; i < depth_; ++i) TK_ASSERT(packed_[i - 1] >> 28 != packed_[i] >> 28);
}

bool Slice::holds(const Coordinates& item) const {
  for (std::size_t i = 0; i < depth_; ++i)
    if (item[term(i).attribute] != term(i).value) return false;
  return true;
}

bool Slice::excludes(const Slice& other) const {
  for (std::size_t i = 0; i < depth_; ++i)
    for (std::size_t j = 0; j < other.depth_; ++j)
      if (term(i).attribute == other.term(j).attribute && term(i).value != other.term(j).value) return true;
  return false;
}

bool Slice::client_derived() const {
  for (std::size_t i = 0; i < depth_; ++i)
    if (evidence::client_derived(term(i).attribute)) return true;
  return false;
}

bool Slice::names_servers() const {
  // Terms are in the order of attributes.
  return depth_ > 0 && term(depth_ - 1).attribute <= Attribute::pool;
}

std::uint64_t Slice::hash() const {
  return mix(mix(packed_[0] + 0x9e3779b97f4a7c15) ^ packed_[1] ^
             static_cast<std::uint64_t>(packed_[2]) << 32);
}

bool Slice::refines(const Slice& other) const {
  return depth_ > other.depth_ && std::ranges::includes(std::span(packed_).first(depth_),
                                                        std::span(other.packed_).first(other.depth_));
}

std::optional<Slice> Slice::both(const Slice& other) const {
  std::array<Term, 2 * kDepthMax> terms;
  std::size_t count = 0;
  for (std::size_t i = 0; i < depth_; ++i) terms[count++] = term(i);
  for (std::size_t i = 0; i < other.depth_; ++i)
    if (std::ranges::find(packed_, other.packed_[i]) == packed_.end()) terms[count++] = other.term(i);
  if (count > kDepthMax) return std::nullopt;
  return Slice(std::span(terms).first(count));
}

bool smaller_action(const Slice& a, const Slice& b) {
  // The first attribute names the action; without one there is nothing to act on.
  const auto action = [](const Slice& slice) {
    return slice.depth() == 0 ? kAttributes : static_cast<std::size_t>(slice.term(0).attribute);
  };
  if (action(a) != action(b)) return action(a) < action(b);
  if (a.depth() != b.depth()) return a.depth() < b.depth();
  for (std::size_t i = 0; i < a.depth(); ++i) {
    if (a.term(i).attribute != b.term(i).attribute) return a.term(i).attribute < b.term(i).attribute;
    if (a.term(i).value != b.term(i).value) return a.term(i).value < b.term(i).value;
  }
  return false;
}

std::span<const std::uint16_t> attribute_sets() { return kAttributeSets; }

ValueId ValueNames::intern(Attribute attribute, std::string_view text) {
  if (text.empty()) return 0;
  Table& table = tables_[static_cast<std::size_t>(attribute)];
  if (const auto known = table.ids.find(text); known != table.ids.end()) return known->second;
  if (table.texts.size() >= max_ || text.size() > kTextMax) {
    ++refused_;
    return 0;
  }
  table.texts.emplace_back(text);
  const auto id = static_cast<ValueId>(table.texts.size());
  table.ids.emplace(table.texts.back(), id);
  return id;
}

ValueId ValueNames::find(Attribute attribute, std::string_view text) const {
  const Table& table = tables_[static_cast<std::size_t>(attribute)];
  const auto known = table.ids.find(text);
  return known == table.ids.end() ? 0 : known->second;
}

std::string_view ValueNames::text(Attribute attribute, ValueId value) const {
  const Table& table = tables_[static_cast<std::size_t>(attribute)];
  TK_ASSERT(value <= table.texts.size());
  return value == 0 ? std::string_view() : table.texts[value - 1];
}

std::size_t ValueNames::count(Attribute attribute) const {
  return tables_[static_cast<std::size_t>(attribute)].texts.size();
}

void ValueNames::clear() {
  tables_ = {};
  refused_ = 0;
}

std::string ValueNames::describe(const Slice& slice) const {
  if (slice.depth() == 0) return "all traffic";
  std::string result;
  for (std::size_t i = 0; i < slice.depth(); ++i) {
    const auto [attribute, value] = slice.term(i);
    if (i > 0) result += ", ";
    result += name(attribute);
    result += '=';
    result += text(attribute, value);
  }
  return result;
}

}  // namespace truekeel::evidence
