// SPDX-License-Identifier: Apache-2.0
// Holds a sampler to what it declares, with the conformance kit as a C++ library. Exit code 0: it conforms.
// usage: conformance_example [skip]   skip: the sampler never draws the last token; exit code 1 shows that it
// is found
#include <conformance/kit.h>
#include <conformance/report.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string_view>

namespace {

using namespace truekeel::conformance;

/// Softmax at a temperature and a walk over its intervals in the order of ids, in doubles.
class Walk : public Sampler {
 public:
  explicit Walk(bool skips_last) : skips_last_(skips_last) {
    semantics_.name = "walk";
    semantics_.version = "1";
    semantics_.chain = {Step::temperature};
    semantics_.injects = true;
    semantics_.interval_order = IntervalOrder::by_id;
    semantics_.batch_max = 65;
    semantics_.batch_invariant = true;
  }

  [[nodiscard]] const Semantics& semantics() const override { return semantics_; }

  [[nodiscard]] truekeel::Result<std::vector<Draw>> draw(const Call& call) override {
    std::vector<std::vector<double>> tables;
    tables.reserve(call.rows.size());
    for (const Row& row : call.rows) tables.push_back(running_sums(row));
    std::vector<Draw> drawn;
    for (const std::uint64_t uniform : call.uniforms) {  // step by step, row by row
      const std::vector<double>& sums = tables[drawn.size() % tables.size()];
      const double point = static_cast<double>(uniform >> 11) * 0x1p-53 * sums.back();
      drawn.emplace_back(static_cast<TokenId>(std::ranges::upper_bound(sums, point) - sums.begin()));
    }
    return drawn;
  }

 private:
  [[nodiscard]] std::vector<double> running_sums(const Row& row) const {
    std::vector<double> sums;
    sums.reserve(row.logits.size());
    const float top = std::ranges::max(row.logits);
    for (const float logit : row.logits)
      sums.push_back(std::exp((logit - top) / static_cast<double>(row.params.temperature)));
    if (skips_last_) sums.back() = 0;
    std::partial_sum(sums.begin(), sums.end(), sums.begin());
    return sums;
  }

  bool skips_last_;
  Semantics semantics_;
};

}  // namespace

int main(int argc, char** argv) {
  Walk sampler(argc > 1 && std::string_view(argv[1]) == "skip");
  const Report report = run(sampler, {.draws = 5000});
  std::fputs(text_report(report).c_str(), stdout);
  return report.conforms() ? 0 : 1;
}
