// SPDX-License-Identifier: Apache-2.0
#include "conformance/shrink.h"

#include <algorithm>
#include <cmath>

namespace truekeel::conformance {
namespace {

class Shrinker {
 public:
  Shrinker(std::vector<Row> rows, const StillFails& fails, std::size_t budget)
      : rows_(std::move(rows)), fails_(fails), budget_(budget) {}

  std::vector<Row> run() && {
    while (fewer_rows() || fewer_tokens() || plainer_params() || rounder_logits()) {
    }
    return std::move(rows_);
  }

 private:
  /// Takes the candidate if it still fails.
  bool take(std::vector<Row> candidate) {
    if (budget_ == 0 || candidate == rows_) return false;
    --budget_;
    if (!fails_(candidate)) return false;
    rows_ = std::move(candidate);
    return true;
  }

  bool fewer_rows() {
    bool any = false;
    for (std::size_t size = rows_.size() / 2; size > 0; size /= 2)
      for (std::size_t at = 0; at + size <= rows_.size() && size < rows_.size();) {
        std::vector<Row> candidate = rows_;
        candidate.erase(candidate.begin() + at, candidate.begin() + at + size);
        if (take(std::move(candidate)))
          any = true;
        else
          at += size;
      }
    return any;
  }

  static void drop_ids(Row& row, TokenId from, TokenId count) {
    row.logits.erase(row.logits.begin() + from, row.logits.begin() + from + count);
    const auto gone = [=](TokenId id) { return id >= from && id < from + count; };
    std::erase_if(row.history, gone);
    std::erase_if(row.params.bias, [&](const auto& bias) { return gone(bias.first); });
    const auto renumber = [=](TokenId& id) { id -= id >= from + count ? count : 0; };
    std::ranges::for_each(row.history, renumber);
    for (auto& [id, value] : row.params.bias) renumber(id);
  }

  bool fewer_tokens() {
    bool any = false;
    const auto vocabulary = [this] { return static_cast<TokenId>(rows_.front().logits.size()); };
    for (TokenId size = vocabulary() / 2; size > 0; size /= 2)
      for (TokenId at = 0; at + size <= vocabulary() && size < vocabulary();) {
        std::vector<Row> candidate = rows_;
        for (Row& row : candidate) drop_ids(row, at, size);
        if (take(std::move(candidate)))
          any = true;
        else
          at += size;
      }
    return any;
  }

  template <class Change>
  bool take_changed(const Change& change) {
    std::vector<Row> candidate = rows_;
    change(candidate);
    return take(std::move(candidate));
  }

  bool plainer_params() {
    const Params off;
    bool any = false;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      any |= take_changed([&](auto& rows) { rows[i].params = off, rows[i].history.clear(); });
      any |= take_changed([&](auto& rows) { rows[i].params.temperature = off.temperature; });
      any |= take_changed([&](auto& rows) { rows[i].params.top_k = off.top_k; });
      any |= take_changed([&](auto& rows) { rows[i].params.top_p = off.top_p; });
      any |= take_changed([&](auto& rows) { rows[i].params.min_p = off.min_p; });
      any |= take_changed([&](auto& rows) { rows[i].params.presence = off.presence; });
      any |= take_changed([&](auto& rows) { rows[i].params.frequency = off.frequency; });
      any |= take_changed([&](auto& rows) { rows[i].params.repetition = off.repetition; });
      any |= take_changed([&](auto& rows) { rows[i].params.bias.clear(); });
      any |= take_changed([&](auto& rows) { rows[i].position = 0; });
    }
    return any;
  }

  bool rounder_logits() {
    bool any = take_changed([](auto& rows) {
      for (Row& row : rows)
        for (float& logit : row.logits) logit = std::round(logit);
    });
    // Value by value only where that is few.
    constexpr std::size_t kFew = 8;
    if (rows_.front().logits.size() > kFew) return any;
    for (std::size_t i = 0; i < rows_.size(); ++i)
      for (std::size_t id = 0; id < rows_[i].logits.size(); ++id)
        if (std::isfinite(rows_[i].logits[id]) && rows_[i].logits[id] != 0)
          any |= take_changed([&](auto& rows) { rows[i].logits[id] = 0; });
    return any;
  }

  std::vector<Row> rows_;
  const StillFails& fails_;
  std::size_t budget_;
};

}  // namespace

std::vector<Row> shrink(std::vector<Row> rows, const StillFails& fails, std::size_t budget) {
  return Shrinker(std::move(rows), fails, budget).run();
}

}  // namespace truekeel::conformance
