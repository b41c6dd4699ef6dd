// SPDX-License-Identifier: Apache-2.0
#include "incident/traffic.h"

#include <fmt/format.h>

#include <algorithm>

namespace truekeel::incident {
namespace {

template <class Item>
bool contains(const std::vector<Item>& items, const Item& item) {
  return std::ranges::find(items, item) != items.end();
}

bool can_have(const EndpointFacts& endpoint, const Term& term) {
  if (term.attribute == "endpoint") return term.value == endpoint.name;
  const auto stated = endpoint.values.find(term.attribute);
  return stated == endpoint.values.end() || contains(stated->second, term.value);
}

bool has_only(const EndpointFacts& endpoint, const Term& term) {
  if (term.attribute == "endpoint") return term.value == endpoint.name;
  const auto stated = endpoint.values.find(term.attribute);
  return stated != endpoint.values.end() && stated->second == std::vector{term.value};
}

}  // namespace

std::vector<std::string> endpoints_of(const Traffic& traffic, std::span<const EndpointFacts> fleet) {
  std::vector<std::string> names;
  for (const auto& endpoint : fleet) {
    if (std::ranges::all_of(traffic, [&](const Term& term) { return can_have(endpoint, term); })) {
      names.push_back(endpoint.name);
    }
  }
  return names;
}

bool excludes(const Traffic& a, const Traffic& b) {
  return std::ranges::any_of(a, [&](const Term& mine) {
    return std::ranges::any_of(
        b, [&](const Term& other) { return mine.attribute == other.attribute && mine.value != other.value; });
  });
}

bool covers(const Traffic& wide, const Traffic& narrow, std::span<const EndpointFacts> fleet) {
  const auto names = endpoints_of(narrow, fleet);
  return std::ranges::all_of(wide, [&](const Term& term) {
    if (contains(narrow, term)) return true;
    return !names.empty() && std::ranges::all_of(fleet, [&](const EndpointFacts& endpoint) {
      return !contains(names, endpoint.name) || has_only(endpoint, term);
    });
  });
}

bool overlaps(const Traffic& a, const Traffic& b, std::span<const EndpointFacts> fleet) {
  if (excludes(a, b)) return false;
  const auto of_a = endpoints_of(a, fleet), of_b = endpoints_of(b, fleet);
  return std::ranges::any_of(of_a, [&](const std::string& name) { return contains(of_b, name); });
}

std::string describe(const Traffic& traffic) {
  if (traffic.empty()) return "all traffic";
  std::string words;
  for (const auto& term : traffic) {
    words += fmt::format("{}{} {}", words.empty() ? "" : " with ", term.attribute, term.value);
  }
  return words;
}

}  // namespace truekeel::incident
