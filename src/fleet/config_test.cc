// SPDX-License-Identifier: Apache-2.0
#include "fleet/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fleet/check_report.h"
#include "fleet/test_config.h"

namespace truekeel::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::string_view kSmall = R"(models:
  - name: m
    tokenizer: bound
    classes:
      - {name: only, max_tokens: 4096, pool: p}
pools:
  p:
    endpoints:
      - {name: s1, url: "http://127.0.0.1:9101", engine: truekeel}
)";

/// kSmall with one text in place of another, or with a line in front.
std::string with(std::string_view from, std::string_view to) {
  std::string text(kSmall);
  const auto at = text.find(from);
  if (at == std::string::npos) ADD_FAILURE() << "not in the sample: " << from;
  return text.replace(at, from.size(), to);
}
std::string with(std::string_view line) { return std::string(line) + "\n" + std::string(kSmall); }

std::vector<std::string> problems(std::string_view yaml) {
  const auto parsed = parse_config(yaml);
  std::vector<std::string> lines;
  if (!parsed) {
    for (const auto& problem : parsed.error()) lines.push_back(format_problem("f", problem));
  }
  return lines;
}

TEST(Config, TheDefaultPassesAndStatesTheDefaults) {
  const auto parsed = parse_config(default_config());
  ASSERT_TRUE(parsed) << format_problem("default", parsed.error().front());
  const Config silent;
  EXPECT_EQ(parsed->listen, silent.listen);
  EXPECT_EQ(parsed->admin, silent.admin);
  EXPECT_EQ(parsed->limits, silent.limits);
  EXPECT_EQ(parsed->health, silent.health);
  EXPECT_EQ(parsed->retry, silent.retry);
  EXPECT_EQ(parsed->store, silent.store);
  EXPECT_EQ(parsed->webhook, silent.webhook);
  EXPECT_EQ(parsed->audit, silent.audit);
  EXPECT_EQ(parsed->evidence, silent.evidence);
  EXPECT_EQ(parsed->models[0].default_max_output, ModelConfig{}.default_max_output);
  EXPECT_EQ(parsed->pools[1].load, LoadSettings{});
  EXPECT_EQ(parsed->pools[1].endpoints[0].timeout, EndpointConfig{}.timeout);
  EXPECT_EQ(parsed->pools[1].endpoints[0].weight_milli, EndpointConfig{}.weight_milli);
}

TEST(Config, EveryKeyArrives) {
  const auto parsed = parse_config(R"(
listen: "[::]:1"
admin: 10.0.0.1:2
admin_token_env: ADMIN
affinity_secret_env: SECRET_1
tls: {cert: c.pem, key: k.pem}
clients: {keys: "a file", concurrent: 2, requests_per_s: 0.5}
limits: {body_mib: 2, connections: 3, header_s: 4, idle_s: 5.5, drain_s: 0}
health: {probe_interval_s: 1, probe_timeout_s: 2, unready_after: 3, eject_after: 4, ejection_s: 5,
         ejection_max_s: 6, max_ejected_fraction: 0.25}
retry: {attempts: 1, budget_fraction: 0, min_per_s: 0.5}
store: sqlite:/var/x.db
keep_days: 7
webhook: {url: "http://h:1/hook", secret_env: HOOK}
audit: {sample: 0.25, top_logprobs: 5}
evidence: {false_alarms_per_day: 0.01, state_file: /var/x.state}
models:
  - {name: org/m:1, tokenizer: "gguf:a b.gguf", default_max_output: 7, defaults: {temperature: 0, top_p: 0.9, min_p: 0.1, top_k: 3},
     classes: [{name: s, max_tokens: 16, pool: b}, {name: l, max_tokens: 17, pool: a}]}
  - {name: n, tokenizer: bound, default_max_output: 8, classes: [{name: s, max_tokens: 16, pool: b}]}
pools:
  a: {load_bound: 2.5, max_in_flight: 4, queue_max: 0, queue_timeout_s: 0.5,
      endpoints: [{name: e1, url: "http://h1:10/x/v1", engine: llama.cpp, labels: {version: 1.0, gpu: H100},
                   upstream_model: up, api_key_env: KEY, weight: 0.5, timeout_s: 0.25}]}
  b: {endpoints: [{name: e2, url: "https://h2", engine: openai, tls_ca: ca.pem}, {name: e3, url: "http://h3", engine: truekeel}]}
)");
  ASSERT_TRUE(parsed) << format_problem("f", parsed.error().front());
  Config want;
  want.listen = {"::", 1};
  want.admin = {"10.0.0.1", 2};
  want.admin_token_env = "ADMIN";
  want.affinity_secret_env = "SECRET_1";
  want.tls = {"c.pem", "k.pem"};
  want.clients = {"a file", {2, 0.5}};
  want.limits = {2 << 20, 3, seconds(4), milliseconds(5500), seconds(0)};
  want.health = {seconds(1), seconds(2), 3, 4, seconds(5), seconds(6), 0.25};
  want.retry = {1, 0, 0.5};
  want.store = {"/var/x.db", 7};
  want.webhook = {"http://h:1/hook", "HOOK"};
  want.audit = {0.25, 5};
  want.evidence = {0.01, "/var/x.state"};
  want.models = {{"org/m:1",
                  TokenizerKind::gguf,
                  "a b.gguf",
                  7,
                  {0.0, 0.9, 0.1, 3},
                  {{"s", 16, "b", 1}, {"l", 17, "a", 0}}},
                 {"n", TokenizerKind::bound, "", 8, {}, {{"s", 16, "b", 1}}}};
  want.pools = {{"a",
                 {{"e1",
                   {"h1", 10, "/x"},
                   EngineKind::llama_cpp,
                   {{"version", "1.0"}, {"gpu", "H100"}},
                   "up",
                   "KEY",
                   500,
                   milliseconds(250)}},
                 {2500, 4, 0, milliseconds(500)}},
                {"b",
                 {{.name = "e2",
                   .url = {"h2", 443, "", true},
                   .engine = EngineKind::openai,
                   .labels = {},
                   .upstream_model = "",
                   .api_key_env = "",
                   .tls_ca = "ca.pem"},
                  {.name = "e3",
                   .url = {"h3", 80, ""},
                   .engine = EngineKind::truekeel,
                   .labels = {},
                   .upstream_model = "",
                   .api_key_env = ""}}}};
  EXPECT_EQ(*parsed, want);
  EXPECT_EQ(parsed->find_model("n"), &parsed->models[1]);
  EXPECT_EQ(parsed->find_model("org/m"), nullptr);
}

struct Mistake {
  std::string yaml;
  std::string message;
};

class ConfigMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, NamesPlacePathAndFix) {
  const auto found = problems(GetParam().yaml);
  ASSERT_FALSE(found.empty()) << "accepted:\n" << GetParam().yaml;
  EXPECT_EQ(found.front(), GetParam().message);
  EXPECT_EQ(found.size(), 1u) << "one mistake, one message; also: " << found.back();
}

INSTANTIATE_TEST_SUITE_P(
    Keys, ConfigMistake,
    testing::Values(
        Mistake{with("tokenizer: bound", "tokenizer: bound\n    defaults: {tempature: 1}"),
                "f:4:16: models[0].defaults: unknown key 'tempature'; did you mean 'temperature'?"},
        Mistake{with("bus: x"),
                "f:1:1: unknown key 'bus'; known here: listen, admin, admin_token_env, affinity_secret_env, "
                "tls, clients, "
                "limits, health, retry, audit, evidence, store, keep_days, webhook, models, pools"},
        Mistake{with("limits: {idle_s: 1, idle_s: 2}"),
                "f:1:21: limits: duplicate key 'idle_s'; it stands in line 1 already; keep one"},
        Mistake{with("    tokenizer: bound\n", ""),
                "f:2:5: models[0]: 'tokenizer' is missing; add 'tokenizer: …'"},
        Mistake{"",
                "f:1:1: must be a map, not nothing; write 'key: value' with keys of: listen, admin, "
                "admin_token_env, affinity_secret_env, tls, clients, limits, health, retry, audit, evidence, "
                "store, keep_days, "
                "webhook, models, pools"},
        Mistake{with("limits: [1]"),
                "f:1:9: limits: must be a map, not a list; write 'key: value' with keys of: "
                "body_mib, connections, header_s, idle_s, drain_s"}));

INSTANTIATE_TEST_SUITE_P(
    Values, ConfigMistake,
    testing::Values(
        Mistake{with("limits: {body_mib: 0}"),
                "f:1:20: limits.body_mib: '0' is out of range; write a whole number "
                "from 1 to 4096"},
        Mistake{with("limits: {body_mib: 1.5}"),
                "f:1:20: limits.body_mib: '1.5' is not a whole number; write a whole "
                "number from 1 to 4096"},
        Mistake{with("limits: {body_mib: 99999999999999999999}"),
                "f:1:20: limits.body_mib: '99999999999999999999' is out of range; write a whole number from "
                "1 to 4096"},
        Mistake{with("limits: {body_mib: \"64\"}"),
                "f:1:20: limits.body_mib: must be a whole number, not a text; remove the quotes"},
        Mistake{with("limits: {body_mib: }"),
                "f:1:20: limits.body_mib: must be a whole number, not nothing; write a "
                "whole number from 1 to 4096"},
        Mistake{with("retry: {budget_fraction: nan}"),
                "f:1:26: retry.budget_fraction: 'nan' is out of range; write a number from 0 to 1"},
        Mistake{with("store: postgresql://x"),
                "f:1:8: store: 'postgresql://x' is no store; write sqlite:FILE or memory"},
        Mistake{with("store: 'sqlite:'"), "f:1:8: store: 'sqlite:' is no store; write sqlite:FILE or memory"},
        Mistake{with("keep_days: 0"),
                "f:1:12: keep_days: '0' is out of range; write a whole number from 1 to 3650"},
        Mistake{with("webhook: {url: 'x/y', secret_env: S}"),
                "f:1:16: webhook.url: the URL begins with neither http:// nor https://; write "
                "http://HOST:PORT/PATH or https://HOST/PATH"},
        Mistake{with("webhook: {url: 'http://x/y'}"),
                "f:1:10: webhook: 'secret_env' is missing; name the environment variable with the key of its "
                "signatures"},
        Mistake{with("audit: {sample: 1.5}"),
                "f:1:17: audit.sample: '1.5' is out of range; write a number from 0 to 1"},
        Mistake{with("audit: {top_logprobs: 0}"),
                "f:1:23: audit.top_logprobs: '0' is out of range; write a whole number from 1 to 64"},
        Mistake{with("health: {ejection_s: 400}"),
                "f:1:9: health: ejection_max_s is shorter than ejection_s; make it at least as long"},
        Mistake{with("listen: 8080"),
                "f:1:9: listen: '8080' is no address to listen on; write IP:PORT, as in "
                "127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080"},
        Mistake{
            with("admin: 0.0.0.0:9090"),
            "f:1:8: admin: beyond loopback the admin port needs a token; name the environment variable that "
            "holds it as admin_token_env, or write 127.0.0.1:9090"},
        Mistake{with("admin: 127.0.0.1:8080"),
                "f:1:8: admin: listen and admin have the same port; give admin another port"},
        Mistake{with("affinity_secret_env: hunter2"),
                "f:1:22: affinity_secret_env: is not the name of an environment variable; give the "
                "variable's NAME, "
                "never the secret itself; use A-Z, 0-9 and _"}));

INSTANTIATE_TEST_SUITE_P(
    Models, ConfigMistake,
    testing::Values(
        Mistake{with("tokenizer: bound", "tokenizer: exact"),
                "f:3:16: models[0].tokenizer: 'exact' is no way to count tokens; write gguf:PATH (count "
                "here), endpoint "
                "(ask its /tokenize) or bound (bytes only)"},
        Mistake{
            with("truekeel}", "openai}").replace(with("truekeel}", "openai}").find("bound"), 5, "endpoint"),
            "f:3:16: models[0].tokenizer: no endpoint of this model can count: engine openai has no "
            "/tokenize; "
            "write gguf:PATH or bound"},
        Mistake{with("pool: p}", "pool: p}\n      - {name: two, max_tokens: 4096, pool: p}"),
                "f:6:33: models[0].classes[1].max_tokens: 4096 is not above 4096, the class before; order "
                "the classes "
                "by window, smallest first"},
        Mistake{with("pool: p}", "pool: p}\n      - {name: only, max_tokens: 8192, pool: p}"),
                "f:6:16: models[0].classes[1].name: the class 'only' is there already; give every class of a "
                "model its "
                "own name"},
        Mistake{with("max_tokens: 4096", "max_tokens: 99999999"),
                "f:5:34: models[0].classes[0].max_tokens: '99999999' is out of range; write a whole number "
                "from 16 to "
                "16777216"},
        Mistake{with("max_tokens: 4096", "max_tokens: 512"),
                "f:2:5: models[0]: default_max_output 512 leaves no room for a prompt in the largest window, "
                "512; lower "
                "default_max_output or raise the largest class"},
        Mistake{with("classes:\n      - {name: only, max_tokens: 4096, pool: p}",
                     "classes:\n      - {name: only, max_tokens: 4096, pool: p}\n  - name: m\n    tokenizer: "
                     "bound\n"
                     "    classes: [{name: c, max_tokens: 1000, pool: p}]"),
                "f:6:11: models[1].name: the model 'm' is there already; give every model its own name"},
        Mistake{with("name: m", "name: m x"),
                "f:2:11: models[0].name: 'm x' is not a name; use 1 to 200 of letters, "
                "digits and ._-/:@+"}));

INSTANTIATE_TEST_SUITE_P(
    Pools, ConfigMistake,
    testing::Values(
        Mistake{with("  p:\n", "  p:\n    endpoints: [{name: x, url: \"http://h\", engine: openai}]\n  q:\n"),
                "f:9:3: pools: no class names this pool; name it in a model's classes or remove it"},
        Mistake{with("engine: truekeel}", "engine: tgi}"),
                "f:9:58: pools.p.endpoints[0].engine: unknown engine 'tgi'; write truekeel, llama.cpp, vllm, "
                "sglang, or openai for any other server that speaks its API"},
        Mistake{with("truekeel}",
                     "truekeel}\n      - {name: s1, url: \"http://127.0.0.1:9102\", engine: truekeel}"),
                "f:10:16: pools.p.endpoints[1].name: the endpoint 's1' is there already; give every endpoint "
                "its own "
                "name, over all pools"},
        Mistake{with("truekeel}",
                     "truekeel}\n      - {name: s2, url: \"http://127.0.0.1:9101/v1\", engine: truekeel}"),
                "f:10:25: pools.p.endpoints[1].url: an endpoint of this pool has the same URL; list a server "
                "once; "
                "weight gives it more"},
        Mistake{with("http://127.0.0.1:9101", "127.0.0.1:9101"),
                "f:9:25: pools.p.endpoints[0].url: the URL begins with neither http:// nor https://; write "
                "http://HOST:PORT or https://HOST:PORT"},
        Mistake{
            with("truekeel}", "truekeel, tls_ca: x}"),
            "f:9:76: pools.p.endpoints[0].tls_ca: the URL is not https, so nobody would look at it; write "
            "https:// or leave it out"},
        Mistake{
            with("truekeel}", "truekeel, weight: 0}"),
            "f:9:76: pools.p.endpoints[0].weight: '0' is out of range; write a number from 0.001 to 1000"},
        Mistake{
            with("    endpoints:", "    load_bound: 0.9\n    endpoints:"),
            "f:8:17: pools.p.load_bound: below its fair share every endpoint would be; write 0 (off) or 1 to "
            "100"},
        Mistake{with("truekeel}", "truekeel, labels: {a: [1]}}"),
                "f:9:80: pools.p.endpoints[0].labels.a: must be a text, not a list; write one value"},
        Mistake{with("truekeel}", "truekeel, labels: {a: 1, a: 2}}"),
                "f:9:83: pools.p.endpoints[0].labels: duplicate key 'a'; keep one"}));

INSTANTIATE_TEST_SUITE_P(
    Yaml, ConfigMistake,
    testing::Values(Mistake{"a: &x 1",
                            "f:1:4: anchors (&name) are not supported; write the value out where it is used"},
                    Mistake{"a: !!int 1", "f:1:4: tags (!type) are not supported; remove the tag"},
                    Mistake{"a: 1\n b: 2",
                            "f:2:3: not YAML: illegal map value; look here and just above; is a bracket or a "
                            "quote left open?"},
                    Mistake{std::string(20, '[') + std::string(20, ']'),
                            "f:1:17: nested too deeply; nothing here needs more levels"},
                    Mistake{std::string((1 << 20) + 1, '#'),
                            "f:1:1: the file has 1048577 bytes, more than 1048576; is it the right file?"}));

TEST(Config, AMissingPoolIsNamedWithTheNearest) {
  const auto found = problems(with("pool: p}", "pool: pp}"));
  EXPECT_THAT(
      found,
      ElementsAre("f:5:46: models[0].classes[0].pool: there is no pool 'pp'; did you mean 'p'?",
                  "f:7:3: pools: no class names this pool; name it in a model's classes or remove it"));
}

TEST(Config, AllMistakesComeAtOnceInTheOrderOfTheFile) {
  const auto found = problems("limits: {body_mib: x, idle_s: -1}\nlisten: y\nmodels: []\npools: {}\n");
  EXPECT_EQ(found.size(), 5u);
  EXPECT_TRUE(std::ranges::is_sorted(found)) << "single-digit lines sort as text";
}

TEST(Config, MistakesAreBoundedAndCostLittle) {
  std::string keys, models = "models:\n";
  while (keys.size() < 900'000) keys += "q" + std::to_string(keys.size()) + ": 1\n";
  EXPECT_EQ(problems(keys).size(), kMaxProblems);
  while (models.size() < 900'000) models += "  - {}\n";
  EXPECT_EQ(problems(models).size(), 2u) << "a list of that length is one mistake, the missing pools another";
}

TEST(Config, AnAliasBombIsRefusedUnexpanded) {
  EXPECT_THAT(problems("a: [*x, *x]"), ElementsAre(HasSubstr("f:1:")));
}

TEST(Config, ALaterKeyIsUnknownUntilItWorks) {
  for (const auto* key : {"bus", "rescore", "replay", "canaries", "recovery"}) {
    EXPECT_THAT(problems(with(std::string(key) + ": x")), ElementsAre(HasSubstr("unknown key")));
  }
}

TEST(Config, AdviceIsGivenWhereItMatters) {
  EXPECT_THAT(advice(*parse_config(with("affinity_secret_env: S"))), ElementsAre());
  auto config = *parse_config(with("listen: 0.0.0.0:80"));
  config.models[0].default_max_output = 4096;
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("reachable from other machines"),
                                          HasSubstr("affinity_secret_env"), HasSubstr("never goes there")));
}

TEST(Config, ItIsSaidLoudlyWhatTheAuditCannotSee) {
  auto config = *parse_config(with("affinity_secret_env: S"));
  config.pools[0].endpoints[0].engine = EngineKind::vllm;
  const auto name = config.pools[0].endpoints[0].name;
  EXPECT_THAT(advice(config),
              ElementsAre(AllOf(HasSubstr("answers of " + name + " to requests that state no temperature"),
                                HasSubstr("NOT AUDITED"), HasSubstr("defaults: {temperature"))));
  config.audit.sample = 0;
  EXPECT_THAT(advice(config), ElementsAre()) << "nothing is audited, and somebody chose so";
  config.audit.sample = 1;
  config.models[0].defaults.temperature = 1;
  EXPECT_THAT(advice(config), ElementsAre());
}

TEST(Config, OnlyEnginesThatAreAuditedAndHideTheirDefaultsAreNamed) {
  auto config = *parse_config(with("affinity_secret_env: S"));
  for (const auto engine : kEngineKinds) {
    config.pools[0].endpoints[0].engine = engine;
    const bool hides = engine == EngineKind::vllm || engine == EngineKind::sglang;
    EXPECT_THAT(advice(config), SizeIs(hides ? 1 : 0)) << to_string(engine);
  }
}

TEST(Config, EachModelIsToldOfItsOwnServersThatHideTheirDefaults) {
  auto config = test_config({"s1", "s2"}, {"l1", "l2"});
  config.affinity_secret_env = "S";
  config.models.push_back(config.models[0]);
  config.models[0].classes.pop_back();
  config.models[1].name = "other";
  config.models[1].classes.erase(config.models[1].classes.begin());
  for (auto& pool : config.pools) {
    for (auto& endpoint : pool.endpoints) endpoint.engine = EngineKind::sglang;
  }
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("model m: answers of s1, s2 to"),
                                          HasSubstr("model other: answers of l1, l2 to")));
  config.models[0].defaults.temperature = 1;
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("model other: ")));
}

TEST(CheckReport, SaysWhatTheFileMeans) {
  const auto text = check_text("f.yaml", parse_config(default_config()));
  EXPECT_THAT(
      text, HasSubstr("  1 to 2048 tokens -> pool short (class short)\n  2049 to 32768 tokens -> pool long"));
  EXPECT_THAT(text, HasSubstr("  s2 http://127.0.0.1:9102 (truekeel)\n"));
  const auto json = nlohmann::json::parse(check_json("f.yaml", parse_config(default_config())));
  EXPECT_EQ(json["valid"], true);
  EXPECT_EQ(json["pools"][1]["endpoints"][0]["url"], "http://127.0.0.1:9103");
}

TEST(CheckReport, PassesAdviceOn) {
  const auto parsed = parse_config(kSmall);
  const auto sentences = advice(*parsed);
  ASSERT_THAT(sentences, ElementsAre(HasSubstr("affinity_secret_env")));
  EXPECT_THAT(check_text("f.yaml", parsed), HasSubstr("\nnote: " + sentences[0] + "\n"));
  EXPECT_EQ(nlohmann::json::parse(check_json("f.yaml", parsed))["advice"], sentences);
}

TEST(CheckReport, ListsProblemsForPeopleAndPrograms) {
  const auto parsed = parse_config("a: 1");
  EXPECT_THAT(check_text("f.yaml", parsed), HasSubstr("f.yaml:1:1: unknown key 'a'"));
  const auto json = nlohmann::json::parse(check_json("f\xff", parsed));
  EXPECT_EQ(json["valid"], false);
  EXPECT_EQ(json["problems"].size(), 3u);
  EXPECT_EQ(json["problems"][0]["column"], 1);
}

}  // namespace
}  // namespace truekeel::fleet
