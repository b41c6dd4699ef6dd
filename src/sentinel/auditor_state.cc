// SPDX-License-Identifier: Apache-2.0
// What survives a restart. Format (base/bytes.h):
//     magic "TKSN", u32 version, then for each signal: u64 length and evidence's own snapshot (snapshot.h)
//     u32 endpoints, each: its name, and its approved fingerprint
//     u32 standings, each: u8 engine, u8 invariant, u64 kept, u64 violated
//     u32 windows, one a minute: u32 tick, i64 its end, and for each signal i64 the earliest that entered in
//         it, in ms of the wall clock
//     u32 calibrated endpoints, each: its name, u8 engine, its rho (calibration.h)
#include <algorithm>
#include <ranges>
#include <span>

#include "base/bytes.h"
#include "sentinel/auditor.h"

namespace truekeel::sentinel {
namespace {

constexpr std::string_view kMagic = "TKSN";
constexpr std::uint32_t kVersion = 4;
constexpr auto kWindowsSavedEvery = std::chrono::minutes(1);
constexpr std::size_t kWindowsSavedMost = 2 * 24 * 60;

WallTime wall_at(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

struct Standing {
  std::uint8_t engine = 0, invariant = 0;
  std::uint64_t kept = 0, violated = 0;
};

struct Calibrated {
  std::string_view name;
  EngineKind engine;
  evidence::LiveTolerance rho;
};

void get_calibrated(ByteReader& reader, std::vector<Calibrated>& calibrated) {
  const auto name = reader.get_text();
  const auto engine = reader.get<std::uint8_t>();
  reader.reject_unless(engine < kEngineKinds.size());
  if (!reader.ok()) return;
  const auto shipped = evidence::shipped(to_string(static_cast<EngineKind>(engine)));
  reader.reject_unless(shipped.has_value());
  if (!shipped) return;
  calibrated.push_back({name, static_cast<EngineKind>(engine), evidence::live_rho(*shipped)});
  calibrated.back().rho.load(reader);
}

}  // namespace

std::string Auditor::save() const {
  ByteWriter out;
  out.put_bytes(kMagic);
  out.put(kVersion);
  for (const Signal* signal : {&audit_, &invariants_}) {
    const std::string state = signal->save(clock_.tick(), budget_.log_stake());
    out.put<std::uint64_t>(state.size());
    out.put_bytes(state);
  }
  const auto stays = [](const auto& item) { return !item.second.removed; };
  out.put(static_cast<std::uint32_t>(std::ranges::count_if(endpoints_, stays)));
  for (const auto& [id, endpoint] : endpoints_ | std::views::filter(stays)) {
    out.put_text(endpoint.config->name);
    out.put_text(book_.approved(id));
  }
  out.put(static_cast<std::uint32_t>(kEngineKinds.size() * kInvariants));
  for (const EngineKind engine : kEngineKinds) {
    for (std::size_t i = 0; i < kInvariants; ++i) {
      const auto standing = book_.standing(engine, static_cast<Invariant>(i));
      out.put(static_cast<std::uint8_t>(engine));
      out.put(static_cast<std::uint8_t>(i));
      out.put(standing.kept);
      out.put(standing.violated);
    }
  }
  std::vector<Window> kept;
  for (const Window& window : windows_)
    if (kept.empty() || window.ended - kept.back().ended >= kWindowsSavedEvery) kept.push_back(window);
  const auto most = std::span(kept).last(std::min(kept.size(), kWindowsSavedMost));
  out.put(static_cast<std::uint32_t>(most.size()));
  for (const Window& window : most) {
    out.put(window.tick);
    for (const WallTime time : {window.ended, window.earliest[kAudit], window.earliest[kInvariant]})
      out.put<std::int64_t>(time.time_since_epoch().count());
  }
  const auto calibrated = [&](const auto& item) { return stays(item) && item.second.rho; };
  out.put(static_cast<std::uint32_t>(std::ranges::count_if(endpoints_, calibrated)));
  for (const auto& [id, endpoint] : endpoints_ | std::views::filter(calibrated)) {
    out.put_text(endpoint.config->name);
    out.put(static_cast<std::uint8_t>(endpoint.config->engine));
    endpoint.rho->save(out);
  }
  return std::move(out).seal();
}

Result<std::size_t> Auditor::restore(std::string_view bytes) {
  const auto damaged =
      fail(ErrorCode::invalid_argument, "the state of the audit is damaged; it starts afresh");
  const auto body = unsealed(bytes);
  if (!body) return damaged;
  ByteReader reader(*body);
  if (reader.get_bytes(kMagic.size()) != kMagic || reader.get<std::uint32_t>() != kVersion) return damaged;
  const auto audit_bytes = reader.get_bytes(reader.get<std::uint64_t>());
  const auto invariant_bytes = reader.get_bytes(reader.get<std::uint64_t>());
  std::vector<std::pair<std::string_view, std::string_view>> fingerprints;
  for (auto count = reader.get<std::uint32_t>(); count > 0 && reader.ok(); --count) {
    const auto name = reader.get_text();
    fingerprints.emplace_back(name, reader.get_text());
  }
  std::vector<Standing> standings;
  for (auto count = reader.get<std::uint32_t>(); count > 0 && reader.ok(); --count) {
    auto& standing = standings.emplace_back(reader.get<std::uint8_t>(), reader.get<std::uint8_t>());
    standing.kept = reader.get<std::uint64_t>();
    standing.violated = reader.get<std::uint64_t>();
    reader.reject_unless(standing.engine < kEngineKinds.size() && standing.invariant < kInvariants);
  }
  std::deque<Window> windows;
  const auto window_count = reader.get<std::uint32_t>();
  reader.reject_unless(window_count <= kWindowsSavedMost);
  for (std::uint32_t i = 0; i < window_count && reader.ok(); ++i) {
    auto& window = windows.emplace_back(reader.get<evidence::Tick>());
    window.ended = wall_at(reader.get<std::int64_t>());
    for (WallTime& earliest : window.earliest) earliest = wall_at(reader.get<std::int64_t>());
    reader.reject_unless(i == 0 || window.tick > windows[i - 1].tick);
  }
  std::vector<Calibrated> calibrated;
  for (auto count = reader.get<std::uint32_t>(); count > 0 && reader.ok(); --count)
    get_calibrated(reader, calibrated);
  if (!reader.ok() || !reader.at_end()) return damaged;

  // What is approved outlives detectors that do not fit any more: else a wrong fingerprint would be the
  // first.
  for (const auto& [name, fingerprint] : fingerprints)
    for (const auto& [id, endpoint] : endpoints_)
      if (endpoint.config->name == name) (void)book_.check_fingerprint(id, fingerprint);
  for (auto& [name, engine, rho] : calibrated)
    for (auto& [id, endpoint] : endpoints_)
      if (endpoint.config->name == name && endpoint.config->engine == engine) endpoint.rho = std::move(rho);
  for (const Standing& standing : standings)
    book_.remember(static_cast<EngineKind>(standing.engine), static_cast<Invariant>(standing.invariant),
                   standing.kept, standing.violated);
  auto audit = audit_.read(audit_bytes), invariants = invariants_.read(invariant_bytes);
  if (!audit) return std::unexpected(audit.error());
  if (!invariants) return std::unexpected(invariants.error());
  clock_ = evidence::FlushClock(flushed_, std::max(audit->about.tick, invariants->about.tick) + 1);
  windows_ = std::move(windows);
  const std::size_t nodes = audit->about.nodes + invariants->about.nodes;
  audit_.go_on_from(std::move(*audit));
  invariants_.go_on_from(std::move(*invariants));
  intern_endpoints();
  return nodes;
}

}  // namespace truekeel::sentinel
