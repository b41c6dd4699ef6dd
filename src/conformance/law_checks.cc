// SPDX-License-Identifier: Apache-2.0
// Metamorphic laws: changes of the input, or of how the work is split, that must not change the draws.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/philox.h"
#include "conformance/cases.h"
#include "conformance/reference.h"
#include "conformance/rows.h"

namespace truekeel::conformance {
namespace {

constexpr std::uint64_t kSteps = 16;
constexpr std::size_t kVocabulary = 101;
constexpr std::uint32_t kShardsMax = 64;

/// Draws the rows as they are and as arranged; `label` says how in the report.
Result<std::string> differs(Session& session, std::span<const Row> rows, const Drawn& plain,
                            const std::string& label, const std::function<void(Call&)>& arrange) {
  Drawn arranged;
  for (const Row& row : rows) {
    auto one = draw_together(session, {&row, 1}, kSteps, arrange);
    if (!one) return fail(one.error().code, label + ": " + one.error().message);
    arranged.push_back(std::move(one->front()));
  }
  std::string off = difference(rows, plain, arranged);
  return off.empty() ? off : label + ": " + off;
}

struct Arrangement {
  std::string label;
  std::function<void(Call&)> arrange;
};

/// The rows draw the same under every arrangement.
template <class Arrangements>
Probe unchanged_under(const Arrangements& make) {
  return [make](Session& session, std::span<const Row> rows) -> Result<Seen> {
    const auto plain = draw_alone(session, rows, kSteps);
    if (!plain) return std::unexpected(plain.error());
    const std::vector<Arrangement> all = make(session.semantics(), rows.front().logits.size());
    for (const Arrangement& one : all) {
      const auto off = differs(session, rows, *plain, one.label, one.arrange);
      if (!off) return std::unexpected(off.error());
      if (!off->empty()) return Seen{.holds = false, .what = *off};
    }
    return Seen{.what = fmt::format("{} rows draw the same under {} arrangements", rows.size(), all.size())};
  };
}

std::vector<std::uint64_t> even_shards(std::uint64_t vocabulary, std::uint64_t count) {
  std::vector<std::uint64_t> sizes(count, vocabulary / count);
  for (std::uint64_t i = 0; i < vocabulary % count; ++i) ++sizes[i];
  return sizes;
}

/// Every second shard is empty, the others shrink towards the end.
std::vector<std::uint64_t> uneven_shards(std::uint64_t vocabulary, std::uint64_t count) {
  std::vector<std::uint64_t> sizes(count);
  std::uint64_t left = vocabulary;
  for (std::uint64_t i = 0; i + 1 < count; i += 2) left -= sizes[i] = left / 3;
  sizes[count - 1] = left;
  return sizes;
}

std::vector<Arrangement> shardings(const Semantics& semantics, std::uint64_t vocabulary) {
  std::vector<Arrangement> all;
  for (std::uint32_t count = 1; count <= std::min(semantics.shards_max, kShardsMax); ++count) {
    all.push_back({fmt::format("{} even shards", count),
                   [=](Call& call) { call.shards = even_shards(vocabulary, count); }});
    all.push_back({fmt::format("{} uneven shards, some empty", count),
                   [=](Call& call) { call.shards = uneven_shards(vocabulary, count); }});
  }
  return all;
}

std::vector<Arrangement> threadings(const Semantics& semantics, std::uint64_t) {
  std::vector<Arrangement> all;
  for (std::uint32_t count = 2; count <= std::min(semantics.threads_max, 16U); ++count)
    all.push_back({fmt::format("{} threads", count), [=](Call& call) { call.threads = count; }});
  return all;
}

std::vector<Arrangement> targetings(const Semantics& semantics, std::uint64_t) {
  std::vector<Arrangement> all;
  for (const std::string& target : semantics.targets)
    all.push_back({"target " + target, [=](Call& call) { call.target = target; }});
  return all;
}

std::vector<Arrangement> paddings(const Semantics&, std::uint64_t) {
  std::vector<Arrangement> all;
  for (std::uint32_t padding : {1U, 3U, 27U})
    all.push_back(
        {fmt::format("{} values of padding", padding), [=](Call& call) { call.row_padding = padding; }});
  return all;
}

std::vector<Arrangement> repeats(const Semantics&, std::uint64_t) {
  return {{"the same call again", [](Call&) {}}};
}

/// Rows whose logits have room for a shift without rounding, at temperatures that divide exactly.
std::vector<Row> shiftable_rows(const Semantics& semantics) {
  std::vector<Row> rows = mixed_rows(semantics, 4, kVocabulary);
  for (Row& row : rows) {
    row.params.presence = row.params.frequency = 0;
    row.history.clear();
    row.params.bias.clear();
  }
  return rows;
}

/// Adding a constant to all logits changes no draw. Only shifts that no logit's rounding touches are tried.
Result<Seen> shift(Session& session, std::span<const Row> rows) {
  const Semantics& semantics = session.semantics();
  // A sampler in floats may round a boundary another way: rarely, in proportion to its resolution.
  const std::size_t allowed = semantics.resolution <= 0x1p-40 ? 0 : 2;
  const auto plain = draw_alone(session, rows, kSteps);
  if (!plain) return std::unexpected(plain.error());
  int tried = 0;
  for (float by : {1.F, -1.F, 2.F, 8.F, -16.F, 32.F, 64.F, -256.F, 1024.F}) {
    std::vector<Row> shifted(rows.begin(), rows.end());
    bool lossless = true;
    for (Row& row : shifted)
      for (float& logit : row.logits) {
        const float moved = logit + by;
        lossless = lossless && rounded(moved, semantics.dtype) - by == logit &&
                   rounded(moved, semantics.dtype) == moved;
        logit = moved;
      }
    if (!lossless) continue;
    ++tried;
    const auto drawn = draw_alone(session, shifted, kSteps);
    if (!drawn) return std::unexpected(drawn.error());
    if (const std::string off = difference(rows, *plain, *drawn, allowed); !off.empty())
      return Seen{.holds = false, .what = fmt::format("all logits {:+}: {}", by, off)};
  }
  return Seen{.what = fmt::format("{} shifts change nothing", tried)};
}

/// The same row with its ids renumbered.
Row permuted(const Row& row, std::span<const TokenId> new_id) {
  Row result = row;
  for (std::size_t id = 0; id < row.logits.size(); ++id) result.logits[new_id[id]] = row.logits[id];
  return result;
}

/// The best token stays the best under every renumbering of the ids.
Result<Seen> permutation(Session& session, std::span<const Row> rows) {
  const Row& row = rows.front();
  const auto best = std::ranges::max_element(row.logits) - row.logits.begin();
  if (std::ranges::count(row.logits, row.logits[best]) > 1) return Seen{.what = "the top is tied"};
  PhiloxStream random(session.options().seed, 0x9E27);
  std::vector<TokenId> new_id(row.logits.size());
  std::iota(new_id.begin(), new_id.end(), 0);
  for (int round = 0; round < 32; ++round) {
    const auto drawn = draw_alone(session, std::vector{permuted(row, new_id)}, 1);
    if (!drawn) return std::unexpected(drawn.error());
    const Draw& draw = drawn->front().front();
    if (!draw || *draw != new_id[best])
      return Seen{
          .holds = false,
          .what = fmt::format("renumbering {}: the best token is {}, drawn was {}", round, new_id[best],
                              draw ? std::to_string(*draw) : "none, refused: " + draw.error())};
    for (std::size_t i = new_id.size(); i-- > 1;) std::swap(new_id[i], new_id[random.below(i + 1)]);
  }
  return Seen{.what = "32 renumberings keep the best token"};
}

void greedy_laws(const Semantics& semantics, std::vector<Check>& checks) {
  const auto add = [&](const std::string& name, Params params) {
    checks.push_back({.name = "law/permutation-" + name,
                      .law = "which token is best does not depend on how ids are numbered",
                      .rows = {{.logits = typical_logits(kVocabulary, 3), .params = params, .seed = 9}},
                      .probe = permutation});
  };
  if (semantics.at(Edge::temperature_zero) == EdgeRule::greedy) add("greedy", {.temperature = 0});
  if (semantics.has(Step::top_k)) add("top-1", {.top_k = 1});
}

}  // namespace

std::vector<Check> law_checks(const Semantics& semantics) {
  std::vector<Check> checks;
  greedy_laws(semantics, checks);
  if (semantics.seeding == Seeding::none && !semantics.injects) return checks;
  const auto add = [&](std::string name, std::string law, std::vector<Row> rows, Probe probe) {
    checks.push_back(
        {.name = "law/" + name, .law = std::move(law), .rows = std::move(rows), .probe = std::move(probe)});
  };
  const std::vector<Row> mixed = mixed_rows(semantics, 8, kVocabulary);
  add("repeat", "equal calls give equal tokens", mixed, unchanged_under(repeats));
  add("shift", "a constant added to all logits changes nothing", shiftable_rows(semantics), shift);
  if (semantics.shards_max > 1)
    add("shards", "the split of the vocabulary does not matter", mixed_rows(semantics, 4, kVocabulary),
        unchanged_under(shardings));
  if (semantics.threads_max > 1)
    add("threads", "the number of threads does not matter", mixed, unchanged_under(threadings));
  if (!semantics.targets.empty())
    add("targets", "every SIMD target or device draws the same", mixed, unchanged_under(targetings));
  if (semantics.strided) add("padding", "values between rows are not read", mixed, unchanged_under(paddings));
  return checks;
}

}  // namespace truekeel::conformance
