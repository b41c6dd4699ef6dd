// SPDX-License-Identifier: Apache-2.0
#include "fleet/affinity.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cmath>
#include <numeric>
#include <string>

#include "base/philox.h"

namespace truekeel::fleet {
namespace {

std::string counting_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  return bytes;
}

// Vectors of the authors' reference implementation (vectors.h, 64 bits) and of the paper's appendix (15
// bytes). Red means that replicas of different builds disagree.
TEST(SipHash, KnownAnswers) {
  constexpr std::array<std::uint64_t, 2> kKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  EXPECT_EQ(siphash(kKey, ""), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(siphash(kKey, counting_bytes(1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(siphash(kKey, counting_bytes(7)), 0xab0200f58b01d137u);
  EXPECT_EQ(siphash(kKey, counting_bytes(8)), 0x93f5f5799a932462u);
  EXPECT_EQ(siphash(kKey, counting_bytes(15)), 0xa129ca6149be45e5u);
}

std::uint64_t openssl_siphash(std::array<std::uint64_t, 2> key, const std::string& bytes) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  unsigned size = 8;
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_uint("size", &size), OSSL_PARAM_construct_end()};
  std::uint64_t hash = 0;
  std::size_t written = 0;
  EVP_MAC_init(context, reinterpret_cast<const unsigned char*>(key.data()), 16, parameters);
  EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  EVP_MAC_final(context, reinterpret_cast<unsigned char*>(&hash), &written, sizeof hash);
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return hash;
}

TEST(SipHash, AgreesWithOpenSsl) {
  PhiloxStream random(1);
  for (int i = 0; i < 300; ++i) {
    const std::array<std::uint64_t, 2> key = {random.next(), random.next()};
    std::string bytes(random.below(100), '\0');
    for (char& c : bytes) c = static_cast<char>(random.next());
    ASSERT_EQ(siphash(key, bytes), openssl_siphash(key, bytes)) << bytes.size() << " bytes";
  }
}

TEST(AffinityKey, TheFirstSourceThatIsPresentDecides) {
  const AffinitySecret secret("s");
  const std::string_view prefix[] = {"model", "system", "first"};
  AffinityInputs inputs{"session", "user", "id", "cache", prefix};
  const auto source = [&] { return affinity_key(inputs, secret).source; };
  EXPECT_EQ(source(), AffinitySource::session_header);
  inputs.session_header = {};
  EXPECT_EQ(source(), AffinitySource::user);
  inputs.user = {};
  EXPECT_EQ(source(), AffinitySource::metadata_user_id);
  inputs.metadata_user_id = {};
  EXPECT_EQ(source(), AffinitySource::prompt_cache_key);
  inputs.prompt_cache_key = {};
  EXPECT_EQ(source(), AffinitySource::prefix);
}

TEST(AffinityKey, SourcesPartsAndSecretsAreKeptApart) {
  const AffinitySecret secret("s");
  const auto named = [&](const AffinityInputs& inputs) { return affinity_key(inputs, secret).hash; };
  EXPECT_NE(named({.session_header = "x",
                   .user = {},
                   .metadata_user_id = {},
                   .prompt_cache_key = {},
                   .stable_prefix = {}}),
            named({.session_header = {},
                   .user = "x",
                   .metadata_user_id = {},
                   .prompt_cache_key = {},
                   .stable_prefix = {}}));
  const auto prefix_hash = [](std::initializer_list<std::string_view> parts, const AffinitySecret& by) {
    AffinityInputs inputs;
    inputs.stable_prefix = parts;
    return affinity_key(inputs, by).hash;
  };
  EXPECT_EQ(prefix_hash({"ab", "c"}, secret), prefix_hash({"ab", "c"}, AffinitySecret("s")));
  EXPECT_NE(prefix_hash({"ab", "c"}, secret), prefix_hash({"a", "bc"}, secret));
  EXPECT_NE(prefix_hash({"ab", "c"}, secret), prefix_hash({"ab", "c"}, AffinitySecret("t")));
  EXPECT_NE(prefix_hash({"", ""}, secret), prefix_hash({""}, secret));
  EXPECT_NE(prefix_hash({std::string(100'000, 'a')}, secret),
            prefix_hash({std::string(100'001, 'a')}, secret));
}

TEST(NegativeLog2, IsExactAtPowersOfTwoMonotoneAndClose) {
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(negative_log2(std::uint64_t{1} << i), static_cast<std::uint64_t>(64 - i) << 32);
  }
  EXPECT_EQ(negative_log2(0), negative_log2(1));
  EXPECT_GE(negative_log2(~0ull), 1u);
  PhiloxStream random(2);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t u = random.next() >> random.below(64);
    ASSERT_LE(negative_log2(u + 1 == 0 ? u : u + 1), negative_log2(u)) << u;
    const long double right =
        (64 - std::log2(static_cast<long double>(std::max<std::uint64_t>(u, 1)))) * 0x1p32L;
    ASSERT_NEAR(static_cast<double>(negative_log2(u) - right), 0.5, 2.5) << u;
  }
}

std::vector<RendezvousMember> members(std::initializer_list<std::uint32_t> weights,
                                      const AffinitySecret& secret) {
  std::vector<RendezvousMember> made;
  for (const auto weight : weights)
    made.push_back({member_id("s" + std::to_string(made.size()), secret), weight});
  return made;
}

AffinityKey nth_key(std::uint64_t n) { return {philox_bits(99, n, 0), AffinitySource::user}; }

// Computed by a few lines of Python as well. Red means that replicas of different builds or platforms
// disagree, and that a rolling upgrade would move every session.
TEST(Rendezvous, GoldenOrders) {
  const AffinitySecret secret("golden");
  const auto five = members({1000, 1000, 2500, 1, 1'000'000}, secret);
  using Order = std::vector<std::uint32_t>;
  EXPECT_EQ(rendezvous_order(five, {1, AffinitySource::user}, 0, secret), (Order{4, 0, 1, 2, 3}));
  EXPECT_EQ(rendezvous_order(five, {2, AffinitySource::user}, 0, secret), (Order{4, 1, 0, 2, 3}));
  EXPECT_EQ(rendezvous_order(five, {2, AffinitySource::user}, 1, secret), (Order{4, 1, 2, 0, 3}));
  EXPECT_EQ(affinity_key({"session", {}, {}, {}, {}}, secret).hash, 12269178575526822495u);
}

TEST(Rendezvous, SharesAreProportionalToWeights) {
  const AffinitySecret secret("shares");
  for (const auto weights :
       {std::initializer_list<std::uint32_t>{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000},
        std::initializer_list<std::uint32_t>{500, 1000, 3000, 250}}) {
    const auto present = members(weights, secret);
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    constexpr int kKeys = 40'000;
    std::vector<int> first(present.size());
    for (int n = 0; n < kKeys; ++n) ++first[rendezvous_order(present, nth_key(n), 0, secret).front()];
    for (std::size_t i = 0; i < present.size(); ++i) {
      const double share = present[i].weight_milli / total;
      const double sigma = std::sqrt(kKeys * share * (1 - share));
      EXPECT_NEAR(first[i], kKeys * share, 5 * sigma) << "member " << i;
    }
  }
}

TEST(Rendezvous, WithoutAMemberTheOthersKeepTheirOrder) {
  const AffinitySecret secret("removal");
  const auto all = members({1000, 2000, 700, 1000, 4000}, secret);
  for (std::uint64_t n = 0; n < 2000; ++n) {
    const auto before = rendezvous_order(all, nth_key(n), 3, secret);
    for (std::uint32_t gone = 0; gone < all.size(); ++gone) {
      auto rest = all;
      rest.erase(rest.begin() + gone);
      auto expected = before;
      std::erase(expected, gone);
      auto after = rendezvous_order(rest, nth_key(n), 3, secret);
      for (auto& index : after) index += index >= gone ? 1 : 0;
      ASSERT_EQ(after, expected) << "key " << n << " without " << gone;
    }
  }
}

TEST(Rendezvous, TheEpochAndTheSecretPlaceSessionsAfresh) {
  const AffinitySecret secret("a"), other("b");
  const auto present = members({1000, 1000, 1000, 1000}, secret);
  int moved_by_epoch = 0, moved_by_secret = 0;
  for (std::uint64_t n = 0; n < 4000; ++n) {
    const auto home = rendezvous_order(present, nth_key(n), 0, secret).front();
    moved_by_epoch += rendezvous_order(present, nth_key(n), 1, secret).front() != home;
    moved_by_secret += rendezvous_order(present, nth_key(n), 0, other).front() != home;
  }
  EXPECT_NEAR(moved_by_epoch, 3000, 150);
  EXPECT_NEAR(moved_by_secret, 3000, 150);
}

TEST(Rendezvous, NobodyIsAnEmptyOrder) {
  EXPECT_TRUE(rendezvous_order({}, nth_key(0), 0, AffinitySecret("")).empty());
}

}  // namespace
}  // namespace truekeel::fleet
