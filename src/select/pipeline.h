// SPDX-License-Identifier: Apache-2.0
// One row on its way through a chain: what is kept, in the cheapest form, and the draw from it.
// Thread safety: one call at a time. Borrows row and buffers for life.
// Invariant: what is kept is a prefix of the order (key descending, id ascending), never empty.
#pragma once

#include <cstdint>
#include <optional>

#include "select/buffers.h"
#include "select/record.h"
#include "select/survey.h"

namespace truekeel::select {

class Pipeline {
 public:
  /// Requires: survey is that of the blocks, wrote buffers.groups, and found a token that is allowed.
  Pipeline(const Blocks& blocks, const Survey& survey, Buffers& buffers);

  /// From here on weights are those of this temperature, which is not 0.
  void set_temperature(float temperature);
  void top_k(std::uint32_t k);
  void top_p(double share);
  void min_p(double share);

  [[nodiscard]] Choice draw(std::uint64_t bits);
  [[nodiscard]] Choice greedy() const;

  /// The mass of the whole row at temperature 1, if a step needed it.
  [[nodiscard]] std::optional<std::uint64_t> mass_at_one() const { return mass_at_one_; }

 private:
  enum class Form : std::uint8_t {
    whole,   ///< every allowed token
    prefix,  ///< what prefix_ says; buffers.block_mass holds its masses at prefix_temperature_
    list,    ///< buffers.list
  };

  [[nodiscard]] std::span<const Ordinal> groups() const {
    return buffers_.groups.first(std::size_t{blocks_.count()} * kGroups);
  }
  [[nodiscard]] std::uint64_t whole_mass();
  void make_list(Ordinal least);
  void keep_at_least(Ordinal least);
  [[nodiscard]] Choice draw_from_blocks(std::uint64_t bits, std::uint64_t mass, std::uint32_t count, Cut cut);

  const Blocks blocks_;
  const Survey survey_;
  Buffers& buffers_;
  float temperature_ = 1;
  Scale scale_;
  Form form_ = Form::whole;
  Prefix prefix_;
  float prefix_temperature_ = 1;
  std::optional<std::uint64_t> mass_at_one_;
};

}  // namespace truekeel::select
