// SPDX-License-Identifier: Apache-2.0
#include "evidence/snapshot.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"

namespace truekeel::evidence {
namespace {

constexpr std::string_view kMagic = "TKEV";
constexpr std::uint32_t kVersion = 3;  // also of what the cells of a mixture mean
constexpr double kWorthKeeping = 1;
// No evidence and no slice of ours is outside these.
constexpr float kLevelMost = 1e6f;
constexpr std::uint32_t kPeeledMax = 4096;

std::uint64_t signature(std::span<const float> log_weights) {
  return XXH3_64bits(log_weights.data(), log_weights.size_bytes());
}

void put_slice(ByteWriter& writer, const Slice& slice) {
  writer.put(static_cast<std::uint32_t>(slice.depth()));
  for (std::size_t i = 0; i < Slice::kDepthMax; ++i) {
    const auto term = i < slice.depth() ? slice.term(i) : Slice::Term{};
    writer.put(static_cast<std::uint32_t>(term.attribute) << 28 | term.value);
  }
}

Slice get_slice(ByteReader& reader, const ValueNames& names) {
  const auto depth = reader.get<std::uint32_t>();
  reader.reject_unless(depth <= Slice::kDepthMax);
  std::vector<Slice::Term> terms;
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < Slice::kDepthMax; ++i) {
    const auto packed = reader.get<std::uint32_t>();
    if (!reader.ok() || i >= depth) continue;
    const std::uint32_t attribute = packed >> 28;
    const ValueId value = packed & Slice::kValueMax;
    reader.reject_unless(attribute < kAttributes && value >= 1 && (i == 0 || attribute > before));
    if (!reader.ok()) break;
    reader.reject_unless(value <= names.count(static_cast<Attribute>(attribute)));
    terms.push_back({static_cast<Attribute>(attribute), value});
    before = attribute;
  }
  return reader.ok() ? Slice(terms) : Slice();
}

void get_names(ByteReader& reader, ValueNames& names) {
  for (std::size_t i = 0; i < kAttributes; ++i) {
    const auto attribute = static_cast<Attribute>(i);
    const auto count = reader.get<std::uint32_t>();
    for (std::uint32_t id = 1; id <= count && reader.ok(); ++id) {
      const std::string_view text = reader.get_text();
      // Equal or empty names, and more of them than there is room for, get another id.
      reader.reject_unless(reader.ok() && names.intern(attribute, text) == id);
    }
  }
}

}  // namespace

/// What snapshots need of the inside of a lattice.
class LatticeSnapshot {
 public:
  struct Node {
    NodeInfo info;
    std::vector<float> log_sr, log_cusum;
    std::vector<Tick> onset;
  };

  static std::vector<NodeId> worth_keeping(const Lattice& lattice, double log_stake) {
    std::vector<std::pair<double, NodeId>> found;
    lattice.each([&](NodeId node) {
      if (*std::ranges::max_element(lattice.log_sr(node)) >= log_stake + kWorthKeeping)
        found.emplace_back(-lattice.log_evidence(node), node);
    });
    const std::size_t count = std::min(found.size(), kSnapshotNodesMax);
    std::ranges::partial_sort(found, found.begin() + static_cast<std::ptrdiff_t>(count));
    std::vector<NodeId> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(found[i].second);
    return result;
  }

  static void write(ByteWriter& writer, const Lattice& lattice, NodeId node) {
    const NodeInfo& info = lattice.info(node);
    put_slice(writer, info.slice);
    writer.put(info.first);
    writer.put(info.last);
    writer.put(info.items);
    writer.put(info.tokens);
    writer.put(info.answers);
    writer.put(info.traffic);
    writer.put(info.clients.bits());
    for (std::size_t cell = 0; cell < lattice.log_weights().size(); ++cell) {
      writer.put(lattice.log_sr(node)[cell]);
      writer.put(lattice.log_cusum(node)[cell]);
      writer.put(lattice.onset(node, cell));
    }
  }

  static Node read(ByteReader& reader, const ValueNames& names, std::size_t cells, Tick tick) {
    Node node;
    node.info.slice = get_slice(reader, names);
    node.info.first = reader.get<Tick>();
    node.info.last = reader.get<Tick>();
    node.info.items = reader.get<std::uint32_t>();
    node.info.tokens = reader.get<std::uint64_t>();
    node.info.answers = reader.get<std::uint64_t>();
    node.info.traffic = reader.get<std::uint64_t>();
    node.info.clients = FewDistinct::from_bits(reader.get<std::uint64_t>());
    reader.reject_unless(node.info.first <= tick && node.info.last <= tick);
    for (std::size_t i = 0; i < cells && reader.ok(); ++i) {
      node.log_sr.push_back(reader.get<float>());
      node.log_cusum.push_back(reader.get<float>());
      node.onset.push_back(reader.get<Tick>());
      // Comparisons with a NaN are false.
      reader.reject_unless(node.log_sr.back() < kLevelMost && node.log_sr.back() >= 2 * kLogZero);
      reader.reject_unless(std::abs(node.log_cusum.back()) < kLevelMost && node.onset.back() <= tick);
    }
    return node;
  }

  static std::uint64_t entries(const Lattice& lattice) { return lattice.entries_; }

  /// entries: those that have been numbered, so that no number comes again and equal traffic stays equal.
  static void fill(Lattice& lattice, const std::vector<Node>& nodes, const std::vector<Slice>& peeled,
                   std::uint64_t entries) {
    lattice.entries_ = entries;
    for (const Node& node : nodes) {
      const NodeId id = lattice.find_or_make(node.info.slice, node.info.first);
      if (id == kNoNode) continue;  // a smaller lattice than the one that was saved
      Lattice::Page& page = lattice.page(id);
      page.info[id % Lattice::kPage] = node.info;
      const CellsView cells = lattice.cells(id);
      std::ranges::copy(node.log_sr, cells.log_sr.begin());
      std::ranges::copy(node.log_cusum, cells.log_cusum.begin());
      std::ranges::copy(node.onset, cells.onset.begin());
    }
    lattice.peeled_ = peeled;
  }
};

std::string save(const Lattice& lattice, const ValueNames& names, Tick tick, double log_stake) {
  ByteWriter writer;
  writer.put_bytes(kMagic);
  writer.put(kVersion);
  writer.put(signature(lattice.log_weights()));
  writer.put(static_cast<std::uint32_t>(lattice.log_weights().size()));
  writer.put(tick);
  writer.put(LatticeSnapshot::entries(lattice));
  for (std::size_t i = 0; i < kAttributes; ++i) {
    const auto attribute = static_cast<Attribute>(i);
    writer.put(static_cast<std::uint32_t>(names.count(attribute)));
    for (ValueId id = 1; id <= names.count(attribute); ++id) {
      const std::string_view text = names.text(attribute, id);
      TK_ASSERT(text.size() <= ValueNames::kTextMax);
      writer.put_text(text);
    }
  }
  const auto peeled = lattice.peeled().last(std::min<std::size_t>(lattice.peeled().size(), kPeeledMax));
  writer.put(static_cast<std::uint32_t>(peeled.size()));
  for (const Slice& slice : peeled) put_slice(writer, slice);
  const auto nodes = LatticeSnapshot::worth_keeping(lattice, log_stake);
  writer.put(static_cast<std::uint32_t>(nodes.size()));
  for (const NodeId node : nodes) LatticeSnapshot::write(writer, lattice, node);
  return std::move(writer).seal();
}

Result<Restored> restore(std::string_view bytes, Lattice& lattice, ValueNames& names) {
  TK_ASSERT(lattice.nodes() == 0 && names.count(Attribute::endpoint) == 0);
  const auto damaged = [&](const char* what) {
    names.clear();
    return fail(ErrorCode::invalid_argument,
                std::string("detector state: ") + what + "; detectors start afresh");
  };
  if (bytes.size() > kSnapshotBytesMax) return damaged("unlikely size");
  const auto body = unsealed(bytes);
  if (!body) return damaged("damaged");
  ByteReader reader(*body);
  if (reader.get_bytes(kMagic.size()) != kMagic) return damaged("not a snapshot");
  if (reader.get<std::uint32_t>() != kVersion) return damaged("another version");
  const std::size_t cells = lattice.log_weights().size();
  if (reader.get<std::uint64_t>() != signature(lattice.log_weights()) || reader.get<std::uint32_t>() != cells)
    return damaged("another mixture of bets");
  Restored result{.tick = reader.get<Tick>()};
  const auto entries = reader.get<std::uint64_t>();
  get_names(reader, names);
  const auto peeled_count = reader.get<std::uint32_t>();
  reader.reject_unless(peeled_count <= kPeeledMax);
  std::vector<Slice> peeled;
  for (std::uint32_t i = 0; i < peeled_count && reader.ok(); ++i) peeled.push_back(get_slice(reader, names));
  const auto count = reader.get<std::uint32_t>();
  reader.reject_unless(count <= kSnapshotNodesMax);
  std::vector<LatticeSnapshot::Node> nodes;
  std::unordered_set<Slice, SliceHash> seen;
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    nodes.push_back(LatticeSnapshot::read(reader, names, cells, result.tick));
    reader.reject_unless(seen.insert(nodes.back().info.slice).second);
  }
  if (!reader.ok() || !reader.at_end()) return damaged("impossible contents");
  LatticeSnapshot::fill(lattice, nodes, peeled, entries);
  result.nodes = nodes.size();
  return result;
}

}  // namespace truekeel::evidence
