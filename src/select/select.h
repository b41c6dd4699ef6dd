// SPDX-License-Identifier: Apache-2.0
// Exact token selection: one row, or a batch of rows.
// Thread safety: functions are pure but for the workspace, which serves one call at a time.
// Invariants: equal logits, parameters and draws give equal results on every target, in every batch; no call
// allocates or throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "select/params.h"
#include "select/record.h"

namespace truekeel::select {

struct Buffers;

/// Scratch memory of one thread, allocated once.
class Workspace {
 public:
  /// Requires: vocabulary is at most kVocabularyMax. Allocates about 26 bytes a token.
  explicit Workspace(std::uint32_t vocabulary);
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;
  ~Workspace();

  [[nodiscard]] Buffers& buffers();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// As select() below, in memory that the caller laid out (see buffers.h).
[[nodiscard]] Outcome select_in(Buffers& buffers, const Row& row, const Params& params, Draw draw,
                                FullRecord* full = nullptr);

/// Rows of logits in memory, borrowed. A padded vocabulary has stride > vocabulary; the padding is never
/// read.
struct Batch {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::uint32_t rows = 0;
  std::uint32_t vocabulary = 0;
  std::size_t stride = 0;  ///< in elements; 0: equal to the vocabulary

  [[nodiscard]] Row row(std::uint32_t index) const {
    const std::size_t step = stride == 0 ? vocabulary : stride;
    return {static_cast<const std::byte*>(data) + index * step * bytes_of(dtype), vocabulary, dtype};
  }
};

/// Chooses one token from one row and says how. A non-null full record costs about one pass more.
[[nodiscard]] Outcome select(const Row& row, const Params& params, Draw draw, Workspace& workspace,
                             FullRecord* full = nullptr);

/// Chooses one token for each row; what happens in one row has no effect on another. Spans are as long as the
/// batch has rows; params may hold one element for all rows; an empty full asks for no full records.
/// Returns the number of rows that failed; Fault::bad_batch when the spans do not fit.
[[nodiscard]] std::expected<std::uint32_t, Failure> select_batch(const Batch& batch,
                                                                 std::span<const Params> params,
                                                                 std::span<const Draw> draws,
                                                                 Workspace& workspace, std::span<Outcome> out,
                                                                 std::span<FullRecord> full = {});

}  // namespace truekeel::select
