// SPDX-License-Identifier: Apache-2.0
// Parts of the traffic by their names: what a finding accuses, what a change touched, what an endpoint
// serves. Thread safety: pure functions and values.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truekeel::incident {

/// One attribute and its value, named as in evidence::name(): endpoint, pool, hardware, version, class, ...
struct Term {
  std::string attribute;
  std::string value;

  auto operator<=>(const Term&) const = default;
};

/// A conjunction of terms with different attributes; empty: all traffic.
using Traffic = std::vector<Term>;

/// What is known of an endpoint: for each attribute the values that its traffic can have, and no value where
/// it has none of it. A pool that serves two classes gives its endpoints two values for `class`.
struct EndpointFacts {
  std::string name;
  std::map<std::string, std::vector<std::string>, std::less<>> values;

  bool operator==(const EndpointFacts&) const = default;
};

/// The endpoints that can have traffic of this part, in their order. Terms about what varies from request to
/// request (prompt length, batch size) exclude no endpoint: it must be an attribute that the endpoint states.
[[nodiscard]] std::vector<std::string> endpoints_of(const Traffic& traffic,
                                                    std::span<const EndpointFacts> fleet);

/// True when no request can belong to both: they ask for different values of one attribute.
[[nodiscard]] bool excludes(const Traffic& a, const Traffic& b);

/// True when all traffic of `narrow` belongs to `wide`: each term of `wide` is one of `narrow`, or the only
/// value that any endpoint of `narrow` has.
[[nodiscard]] bool covers(const Traffic& wide, const Traffic& narrow, std::span<const EndpointFacts> fleet);

/// True when some endpoint can have traffic of both.
[[nodiscard]] bool overlaps(const Traffic& a, const Traffic& b, std::span<const EndpointFacts> fleet);

/// "endpoint s1 with version v2"; "all traffic" when there are no terms.
[[nodiscard]] std::string describe(const Traffic& traffic);

}  // namespace truekeel::incident
