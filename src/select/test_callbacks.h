// SPDX-License-Identifier: Apache-2.0
// The C interface's transport over an endpoint in this process, for tests and fuzzers. Thread safety: as the
// endpoint's.
#pragma once

#include <truekeel/select.h>

#include "select/transport.h"

namespace truekeel::select {

/// Callbacks over an endpoint in this process; after so many calls, all fail.
struct Callbacks {
  Transport& endpoint;
  int until_failure = -1;

  bool works() {
    if (until_failure < 0) return true;
    if (until_failure == 0) return false;
    --until_failure;
    return true;
  }
  static Callbacks& of(void* context) { return *static_cast<Callbacks*>(context); }

  tk_select_transport table() {
    tk_select_transport table{};
    table.struct_size = sizeof table;
    table.rank = endpoint.rank();
    table.shards = endpoint.size();
    table.context = this;
    table.all_gather = [](void* context, const void* own, size_t bytes, void* all) {
      Callbacks& calls = of(context);
      auto* const to = static_cast<std::byte*>(all);
      return calls.works() && calls.endpoint.all_gather({static_cast<const std::byte*>(own), bytes},
                                                        {to, bytes * calls.endpoint.size()})
                 ? 0
                 : 1;
    };
    table.all_reduce_sum = [](void* context, uint64_t* values, size_t count) {
      return of(context).works() && of(context).endpoint.all_reduce_sum({values, count}) ? 0 : 1;
    };
    table.exclusive_scan = [](void* context, uint64_t* value) {
      return of(context).works() && of(context).endpoint.exclusive_scan(*value) ? 0 : 1;
    };
    table.broadcast = [](void* context, void* data, size_t bytes, uint32_t root) {
      return of(context).works() &&
                     of(context).endpoint.broadcast({static_cast<std::byte*>(data), bytes}, root)
                 ? 0
                 : 1;
    };
    return table;
  }
};

}  // namespace truekeel::select
