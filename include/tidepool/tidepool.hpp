// Includes all faces and options. The decorators and the adapters of mimalloc and jemalloc have their own headers.
#pragma once

#include <tidepool/allocator.hpp>
#include <tidepool/block_pool.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/options.hpp>
#include <tidepool/pool_resource.hpp>
#include <tidepool/stats.hpp>
#include <tidepool/tick.hpp>
#include <tidepool/upstream.hpp>
