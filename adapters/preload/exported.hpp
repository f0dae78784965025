// What the shim shows to the program; everything else in it is hidden.
#pragma once

#define EXPORTED __attribute__((visibility("default"), used))
