// SPDX-License-Identifier: Apache-2.0
#include "select/record.h"

#include <string>
#include <utility>

namespace truekeel::select {
const char* text_of(Fault fault) {
  switch (fault) {
    case Fault::nan_logit:
      return "the logit is NaN";
    case Fault::infinite_logit:
      return "the logit is +inf";
    case Fault::all_forbidden:
      return "every token is forbidden (-inf or masked)";
    case Fault::bad_temperature:
      return "temperature must be 0 or between 2^-64 and 2^64";
    case Fault::bad_top_p:
      return "top_p must be in [0, 1]";
    case Fault::bad_min_p:
      return "min_p must be in [0, 1]";
    case Fault::bad_penalty:
      return "penalties must be finite, and repetition above 0";
    case Fault::bad_bias:
      return "a bias must be finite (forbid tokens by the mask)";
    case Fault::id_out_of_range:
      return "bias or counts name a token that the vocabulary does not have";
    case Fault::ids_not_ascending:
      return "ids of bias and counts must ascend, each once";
    case Fault::mask_too_short:
      return "the mask has fewer bits than the vocabulary has tokens";
    case Fault::operation_missing:
      return "a parameter is set whose operation is not in the chain";
    case Fault::bad_vocabulary:
      return "a vocabulary has 1 to 524288 tokens";
    case Fault::bad_batch:
      return "stride, parameters, draws or results do not fit the rows";
    case Fault::workspace_too_small:
      return "the workspace was made for a smaller vocabulary";
    case Fault::shard_dtypes_differ:
      return "these shards hold another dtype than shard 0";
    case Fault::shard_requests_differ:
      return "these shards were given another request, draw or vocabulary than shard 0";
    case Fault::shard_ranges_differ:
      return "the shards do not cover the vocabulary one after the other";
    case Fault::transport_failed:
      return "the transport between the shards failed";
  }
  return "unknown fault";
}

Error Failure::to_error() const {
  std::string text = "row " + std::to_string(row);
  if (id != kNoId) text += ", token " + std::to_string(id);
  for (std::uint32_t shard = 0, named = 0; shard < 64; ++shard)
    if ((shards >> shard & 1) != 0) text += (named++ == 0 ? ", shards " : ", ") + std::to_string(shard);
  text += ": ";
  text += text_of(fault);
  return {fault == Fault::transport_failed ? ErrorCode::unavailable : ErrorCode::invalid_argument,
          std::move(text)};
}

}  // namespace truekeel::select
