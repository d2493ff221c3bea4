#pragma once

#define BNRUN_VERSION "0.1.0"
