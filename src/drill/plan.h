// SPDX-License-Identifier: Apache-2.0
// What a drill does, drawn from its seed before it begins. Thread safety: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "incident/traffic.h"

namespace truekeel::drill {

/// A kind of drill.
struct Kind {
  std::string_view name;
  std::string_view summary;
};
[[nodiscard]] std::span<const Kind> kinds();
[[nodiscard]] bool is_kind(std::string_view name);

/// A server of the drill's fleet. Two kinds of hardware and two versions, each combination once.
struct Server {
  std::string_view name, hardware, version;
};
inline constexpr std::array<Server, 4> kServers = {
    {{"s1", "a", "v1"}, {"s2", "a", "v2"}, {"s3", "b", "v1"}, {"s4", "b", "v2"}}};
inline constexpr std::string_view kPool = "main";
inline constexpr std::string_view kClass = "chat";

using Facts = std::vector<incident::EndpointFacts>;
/// The fleet as incidents speak of it; all servers have this fingerprint, for they run alike.
[[nodiscard]] Facts fleet_facts(std::string_view fingerprint);

struct Plan {
  std::string fault;                 ///< as `truekeel worker --fault` reads it
  incident::Traffic slice;           ///< whose servers get it
  std::vector<std::string> servers;  ///< these
  Duration quiet{};                  ///< from warm servers to the injection: nobody can know the moment
};
/// Requires: is_kind(kind), 0 < rate <= 1.
[[nodiscard]] Plan make_plan(std::string_view kind, std::uint64_t seed, double rate);

/// Whether the accused traffic is that of the slice, no less and no more.
[[nodiscard]] bool same_traffic(const incident::Traffic& accused, const incident::Traffic& slice,
                                const Facts& fleet);

}  // namespace truekeel::drill
