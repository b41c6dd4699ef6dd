// SPDX-License-Identifier: Apache-2.0
// What survives a restart. Format (little-endian):
//     magic "TKSN", u32 version, then for each signal: u64 length and evidence's own snapshot (snapshot.h)
//     u32 endpoints, each: u16 length and bytes of its name, and of its approved fingerprint
//     u32 standings, each: u8 engine, u8 invariant, u64 kept, u64 violated
//     u64 XXH3 of all before it
#include <xxhash.h>

#include <cstring>

#include "sentinel/auditor.h"

namespace truekeel::sentinel {
namespace {

constexpr std::string_view kMagic = "TKSN";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kTextMax = 256;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_text(std::string& out, std::string_view text) {
  const std::string_view kept = text.substr(0, kTextMax);
  put(out, static_cast<std::uint16_t>(kept.size()));
  out += kept;
}

/// Reads in order; once something was missing, everything is empty and ok is false.
struct Reader {
  std::string_view bytes;
  bool ok = true;

  std::string_view take(std::size_t size) {
    ok = ok && size <= bytes.size();
    if (!ok) return {};
    const auto taken = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return taken;
  }
  template <class T>
  T get() {
    T value{};
    const auto text = take(sizeof value);
    if (ok) std::memcpy(&value, text.data(), sizeof value);
    return value;
  }
  std::string_view get_text() { return take(get<std::uint16_t>()); }
};

}  // namespace

std::string Auditor::save() const {
  std::string out(kMagic);
  put(out, kVersion);
  for (const Signal* signal : {&audit_, &invariants_}) {
    const std::string state = signal->save(clock_.tick(), budget_.log_stake());
    put(out, static_cast<std::uint64_t>(state.size()));
    out += state;
  }
  put(out, static_cast<std::uint32_t>(endpoints_.size()));
  for (fleet::EndpointId id = 0; id < endpoints_.size(); ++id) {
    put_text(out, endpoints_[id].config->name);
    put_text(out, book_.approved(id));
  }
  put(out, static_cast<std::uint32_t>(kEngineKinds.size() * kInvariants));
  for (const EngineKind engine : kEngineKinds) {
    for (std::size_t i = 0; i < kInvariants; ++i) {
      const auto standing = book_.standing(engine, static_cast<Invariant>(i));
      put(out, static_cast<std::uint8_t>(engine));
      put(out, static_cast<std::uint8_t>(i));
      put(out, standing.kept);
      put(out, standing.violated);
    }
  }
  put(out, static_cast<std::uint64_t>(XXH3_64bits(out.data(), out.size())));
  return out;
}

Result<std::size_t> Auditor::restore(std::string_view bytes) {
  const auto damaged = [] {
    return fail(ErrorCode::invalid_argument, "the state of the audit is damaged; detectors start afresh");
  };
  if (bytes.size() < sizeof(std::uint64_t)) return damaged();
  Reader reader{bytes.substr(0, bytes.size() - sizeof(std::uint64_t))};
  Reader sum{bytes.substr(reader.bytes.size())};
  if (sum.get<std::uint64_t>() != XXH3_64bits(reader.bytes.data(), reader.bytes.size())) return damaged();
  if (reader.take(kMagic.size()) != kMagic || reader.get<std::uint32_t>() != kVersion) return damaged();
  const auto audit = reader.take(reader.get<std::uint64_t>());
  const auto invariants = reader.take(reader.get<std::uint64_t>());
  if (!reader.ok) return damaged();
  const auto first = audit_.restore(audit);
  if (!first) return std::unexpected(first.error());
  const auto second = invariants_.restore(invariants);
  clock_ = evidence::FlushClock(flushed_, first->tick + 1);
  if (!second) return std::unexpected(second.error());
  for (auto count = reader.get<std::uint32_t>(); count > 0 && reader.ok; --count) {
    const auto name = reader.get_text(), fingerprint = reader.get_text();
    for (fleet::EndpointId id = 0; id < endpoints_.size(); ++id)
      if (endpoints_[id].config->name == name) (void)book_.check_fingerprint(id, fingerprint);
  }
  for (auto count = reader.get<std::uint32_t>(); count > 0 && reader.ok; --count) {
    const auto engine = reader.get<std::uint8_t>(), invariant = reader.get<std::uint8_t>();
    const auto kept = reader.get<std::uint64_t>(), violated = reader.get<std::uint64_t>();
    if (!reader.ok || engine >= kEngineKinds.size() || invariant >= kInvariants) break;
    book_.remember(static_cast<EngineKind>(engine), static_cast<Invariant>(invariant), kept, violated);
  }
  return first->nodes + second->nodes;
}

}  // namespace truekeel::sentinel
