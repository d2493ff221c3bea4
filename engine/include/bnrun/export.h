// BNRUN_API: what libbnrun.so exports. Everything without it is hidden.
#pragma once

#define BNRUN_API __attribute__((visibility("default")))
