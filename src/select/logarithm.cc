// SPDX-License-Identifier: Apache-2.0
#include "select/logarithm.h"

#include <bit>
#include <cstdint>

namespace truekeel::select {

double natural_log(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  auto exponent = static_cast<int>(bits >> 52) - 1023;
  auto mantissa = std::bit_cast<double>((bits & ((1ull << 52) - 1)) | 1023ull << 52);
  if (mantissa > 0x1.6a09e667f3bcdp+0) {  // sqrt(2): keeps |s| below 0.1716
    mantissa /= 2;
    ++exponent;
  }
  // ln(m) = 2 atanh(s), s = (m - 1) / (m + 1); eleven terms leave less than 1e-18.
  const double s = (mantissa - 1) / (mantissa + 1), square = s * s;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  // ln(2) in two parts: the first has 32 bits, so its product with the exponent is exact.
  constexpr double kLn2High = 0x1.62e42fefp-1, kLn2Low = 0x1.473de6af278edp-34;
  return exponent * kLn2High + (exponent * kLn2Low + 2 * s * sum);
}

}  // namespace truekeel::select
