// SPDX-License-Identifier: Apache-2.0
#include "select/select.h"

#include "select/reference.h"
#include "select/weight.h"

namespace truekeel::select {

struct Workspace::State {
  std::uint32_t vocabulary;
};

Workspace::Workspace(std::uint32_t vocabulary) : state_(std::make_unique<State>(vocabulary)) {}
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;
Workspace::~Workspace() = default;

Outcome select(const Row& row, const Params& params, Draw draw, Workspace& workspace, FullRecord* full) {
  if (row.size > workspace.state().vocabulary) return std::unexpected(Failure{Fault::workspace_too_small});
  return reference_select(row, params, draw, full);
}

std::expected<std::uint32_t, Failure> select_batch(const Batch& batch, std::span<const Params> params,
                                                   std::span<const Draw> draws, Workspace& workspace,
                                                   std::span<Outcome> out, std::span<FullRecord> full) {
  const bool fits = (batch.stride == 0 || batch.stride >= batch.vocabulary) && draws.size() == batch.rows &&
                    out.size() == batch.rows && (params.size() == batch.rows || params.size() == 1) &&
                    (full.empty() || full.size() == batch.rows);
  if (!fits) return std::unexpected(Failure{Fault::bad_batch});
  std::uint32_t failed = 0;
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    out[row] = select(batch.row(row), params[params.size() == 1 ? 0 : row], draws[row], workspace,
                      full.empty() ? nullptr : &full[row]);
    if (out[row]) continue;
    out[row].error().row = row;
    ++failed;
  }
  return failed;
}

}  // namespace truekeel::select
