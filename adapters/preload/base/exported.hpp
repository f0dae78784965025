// Marks the functions that the shim exports; all others are hidden (exported.map).
#pragma once

#define EXPORTED __attribute__((visibility("default"), used))
