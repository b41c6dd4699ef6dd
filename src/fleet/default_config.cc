// SPDX-License-Identifier: Apache-2.0
#include "fleet/config.h"

namespace truekeel::fleet {

std::string_view default_config() {
  return R"(# Truekeel's configuration. Every value here is the default, except models and pools: put your own there.
# Check it with: truekeel check-config FILE        Run it with: truekeel serve -c FILE
# SIGHUP reads models and pools again, the rest needs a restart.

listen: 127.0.0.1:8080          # where clients of the OpenAI and Anthropic APIs connect
admin: 127.0.0.1:9090           # /metrics, /livez, /readyz and the admin API; beyond loopback with a token only:
# admin_token_env: TRUEKEEL_ADMIN_TOKEN     # the NAME of the variable that holds it, 16 characters at least

# The NAME of an environment variable with a secret, the same for every gateway that serves this fleet:
# then they agree on which server a session belongs to, and a restart moves nobody. Unset: random.
# affinity_secret_env: TRUEKEEL_AFFINITY_SECRET

# TLS for clients: a certificate chain and its key, PEM. SIGHUP reads them again, and the file of keys below.
# tls: {cert: FILE, key: FILE}

# Who may call. Without it anybody who reaches the port may. One line of FILE per client: NAME sha256:HEX, where
# HEX is what printf %s KEY | sha256sum prints; then, if wanted, explain, concurrent=N and requests_per_s=N.
# clients: {keys: FILE, concurrent: 64, requests_per_s: 50}

limits:
  body_mib: 64                  # the largest request
  connections: 20000            # of clients, at once
  header_s: 10                  # for a request's head to arrive
  idle_s: 300                   # without a byte in either direction
  drain_s: 30                   # for running answers to finish after SIGTERM

health:
  probe_interval_s: 10          # a probe is a real request for one token
  probe_timeout_s: 10
  unready_after: 2              # failed probes in a row; a refused connection needs one
  eject_after: 5                # failed requests in a row; those that a client causes do not count
  ejection_s: 30                # the first ejection; each further one is longer by as much
  ejection_max_s: 300
  max_ejected_fraction: 0.5     # of a pool; one may always be out, and never the last ready one

retry:                          # only before the first byte of the answer
  attempts: 3                   # of one request, the first included
  budget_fraction: 0.2          # retries per request in the long run
  min_per_s: 3                  # on top of it, for quiet hours

audit:                          # answers are checked against the distributions that they were drawn from
  sample: 1                     # share of the answers; 0: none
  top_logprobs: 20              # alternatives that servers are asked for with each token

evidence:
  false_alarms_per_day: 0.1     # a bound on their expected number, over all signals and slices together
  # state_file: truekeel.state  # what detectors know, without content, survives a restart here

store: sqlite:truekeel.db       # incidents, changes, how requests were handled; or memory: 10,000 requests, gone at the end
keep_days: 90                   # closed incidents and changes; how requests were handled is kept a day

# Tells another program of incidents, signed as Standard Webhooks; the secret stands in an environment variable.
# webhook: {url: "http://127.0.0.1:7000/hook", secret_env: TRUEKEEL_WEBHOOK_SECRET}

models:
  - name: smollm2-135m          # what clients put into "model"
    # How to count a prompt's tokens where its length in bytes does not decide the class:
    # gguf:PATH (count here), endpoint (ask the server's /tokenize) or bound (never count, assume the most).
    tokenizer: endpoint
    default_max_output: 512     # sent to the server as the limit when a request states none
    # What the server does when a request is silent; min_p and top_k too. The audit relies on it.
    defaults: {temperature: 1, top_p: 1}
    # A request goes to the first class whose window holds its prompt and its answer.
    classes:
      - {name: short, max_tokens: 2048, pool: short}
      - {name: long, max_tokens: 32768, pool: long}

pools:
  short:
    load_bound: 1.5             # times its fair share of calls, then a session goes to its next server; 0: no bound
    max_in_flight: 0            # calls under way at each server; 0: no limit. More of them wait, first come first served:
    queue_max: 100              # so many, further ones are answered 503
    queue_timeout_s: 30         # and so long
    endpoints:
      # engine: truekeel, llama.cpp, vllm, sglang, or openai for any other server that speaks the OpenAI API.
      - {name: s1, url: "http://127.0.0.1:9101", engine: truekeel, labels: {hardware: cpu, version: v1}}
      - {name: s2, url: "http://127.0.0.1:9102", engine: truekeel, labels: {hardware: cpu, version: v1}}
  long:
    endpoints:
      - name: l1
        url: http://127.0.0.1:9103
        engine: truekeel
        labels: {hardware: cpu, version: v1}
        weight: 1               # share of the pool's sessions, relative to the others
        timeout_s: 600          # for a whole answer
        # upstream_model: NAME  # what the server calls the model, when it differs
        # api_key_env: NAME     # the environment variable with the server's key
        # tls_ca: FILE          # whom to trust for an https URL; the system's authorities when absent
)";
}

}  // namespace truekeel::fleet
