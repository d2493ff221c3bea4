/* The C interface: everything that a program in any language needs in order to load, run, fold and compare models.
 *
 * Functions that can fail return a bnrun_status; what went wrong stands in bnrun_last_error(). No exception leaves them,
 * and a null pointer where none is allowed is BNRUN_INVALID_INPUT. What `_open`, `_parse`, `_new` and `_run_new` make, the
 * function ending in `_close` destroys; it takes null. Strings returned belong to the object they were asked of and live
 * as long. Text is UTF-8. A session and a pool may be used from any number of threads at once. */
#ifndef BNRUN_BNRUN_H
#define BNRUN_BNRUN_H

#include <stddef.h>
#include <stdint.h>

#include "bnrun/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Grows whenever a program built against an older header would no longer run. */
#define BNRUN_ABI_VERSION 1

enum { BNRUN_MAX_RANK = 16 };

typedef enum bnrun_status {
  BNRUN_OK = 0,
  BNRUN_INVALID_MODEL = 1,  /* the file breaks the ONNX format or its own declarations */
  BNRUN_UNSUPPORTED = 2,    /* the model is valid, but uses what the engine lacks */
  BNRUN_INVALID_INPUT = 3,  /* what was given does not fit the model or makes no sense */
  BNRUN_RESOURCE_LIMIT = 4, /* a size or memory limit was reached */
  BNRUN_IO = 5,             /* reading or writing failed */
  BNRUN_INTERNAL = 6,       /* a defect of the engine */
  BNRUN_CANCELLED = 7       /* a progress callback said so */
} bnrun_status;

/* Element types, numbered as ONNX's TensorProto.DataType. Half precision and bfloat16 are their bits. */
typedef enum bnrun_dtype {
  BNRUN_UNDEFINED = 0,
  BNRUN_FLOAT32 = 1,
  BNRUN_UINT8 = 2,
  BNRUN_INT8 = 3,
  BNRUN_UINT16 = 4,
  BNRUN_INT16 = 5,
  BNRUN_INT32 = 6,
  BNRUN_INT64 = 7,
  BNRUN_STRING = 8,
  BNRUN_BOOL = 9,
  BNRUN_FLOAT16 = 10,
  BNRUN_FLOAT64 = 11,
  BNRUN_UINT32 = 12,
  BNRUN_UINT64 = 13,
  BNRUN_COMPLEX64 = 14,
  BNRUN_COMPLEX128 = 15,
  BNRUN_BFLOAT16 = 16
} bnrun_dtype;

/* A tensor in row-major order. `data` is the caller's, or belongs to what the tensor was asked of. The elements of a
 * string tensor are `const char*`, ending in a null byte each. */
typedef struct bnrun_tensor {
  int32_t dtype; /* a bnrun_dtype; BNRUN_UNDEFINED: an optional input that keeps its default */
  int32_t rank;
  int64_t shape[BNRUN_MAX_RANK]; /* in descriptions of a model: -1 where it is open */
  void* data;                    /* null in descriptions, and where there are no elements */
} bnrun_tensor;

typedef struct bnrun_pool bnrun_pool;
typedef struct bnrun_session bnrun_session;
typedef struct bnrun_results bnrun_results;

/* Option structs begin with their size, which tells which members the caller knows: those behind it have their defaults.
 * Start from the _INIT value. A null pointer in place of options means all defaults. */

typedef struct bnrun_session_options {
  size_t size;
  int32_t threads; /* that share a run; 0: as many as the process may use */
  int32_t fold;    /* 0: leave each BatchNormalization as it is */
  int32_t blas;    /* 1: matrix products by OpenBLAS */
  int32_t fast;    /* 1: convolutions that round otherwise, within a bound: Kernels::fast
                      in session.h; not with blas */
  const bnrun_pool* pool;  /* in place of threads of its own; may be closed before the session */
  const char* const* skip; /* glob patterns over the names of nodes not to fold */
  size_t skip_count;
} bnrun_session_options;
#define BNRUN_SESSION_OPTIONS_INIT \
  { sizeof(bnrun_session_options), 1, 1, 0, 0, NULL, NULL, 0 }

typedef struct bnrun_run_options {
  size_t size;
  /* Called on the thread that called, before each operator and block of rows, with the fraction of the run that is done.
   * Anything but 0 ends the run with BNRUN_CANCELLED. */
  int (*progress)(void* context, double done);
  void* context;
} bnrun_run_options;
#define BNRUN_RUN_OPTIONS_INIT \
  { sizeof(bnrun_run_options), NULL, NULL }

/* What became of the BatchNormalizations of a model. */
typedef struct bnrun_fold_counts {
  size_t folded;
  size_t left;
} bnrun_fold_counts;

typedef struct bnrun_verify_options {
  size_t size;
  double rtol; /* both below 0: judged by what double precision says (docs/folding.md) */
  double atol;
  int64_t rows; /* of a drawn batch; 0: the engine's choice */
  uint64_t seed;
  double budget; /* seconds */
} bnrun_verify_options;
#define BNRUN_VERIFY_OPTIONS_INIT \
  { sizeof(bnrun_verify_options), -1.0, -1.0, 0, 1, 5.0 }

/* -------- the library */

BNRUN_API const char* bnrun_version(void);
BNRUN_API int bnrun_abi_version(void);
/* One line on the last call of this thread that failed; "" before any did. Valid until the next one that fails. */
BNRUN_API const char* bnrun_last_error(void);
/* "invalid_input" */
BNRUN_API const char* bnrun_status_name(bnrun_status status);

/* -------- threads for several sessions */

BNRUN_API bnrun_status bnrun_pool_new(int32_t threads, bnrun_pool** pool);
BNRUN_API void bnrun_pool_close(bnrun_pool* pool);

/* -------- sessions: a model, folded and compiled */

BNRUN_API bnrun_status bnrun_session_open(const char* path, const bnrun_session_options* options,
                                          bnrun_session** session);
/* From memory, which may go afterwards. */
BNRUN_API bnrun_status bnrun_session_parse(const void* bytes, size_t count,
                                           const bnrun_session_options* options, bnrun_session** session);
BNRUN_API void bnrun_session_close(bnrun_session* session);

/* 0 and null for what is not there. */
BNRUN_API size_t bnrun_session_input_count(const bnrun_session* session);
BNRUN_API size_t bnrun_session_output_count(const bnrun_session* session);
BNRUN_API const char* bnrun_session_input_name(const bnrun_session* session, size_t index);
BNRUN_API const char* bnrun_session_output_name(const bnrun_session* session, size_t index);
BNRUN_API size_t bnrun_session_class_count(const bnrun_session* session);
BNRUN_API const char* bnrun_session_class_name(const bnrun_session* session, size_t index);
/* A property of the file's metadata, or its "producer_name", "graph_name", "doc_string" or "domain". */
BNRUN_API const char* bnrun_session_metadata(const bnrun_session* session, const char* key);

/* What the model declares: rank -1 where not even that is known. */
BNRUN_API bnrun_status bnrun_session_input(const bnrun_session* session, size_t index,
                                           bnrun_tensor* declared);
BNRUN_API bnrun_status bnrun_session_output(const bnrun_session* session, size_t index,
                                            bnrun_tensor* declared);
BNRUN_API bnrun_status bnrun_session_find_input(const bnrun_session* session, const char* name,
                                                size_t* index);
BNRUN_API bnrun_status bnrun_session_find_output(const bnrun_session* session, const char* name,
                                                 size_t* index);
BNRUN_API bnrun_status bnrun_session_fold_counts(const bnrun_session* session, bnrun_fold_counts* counts);

/* Types and shapes of the outputs for inputs of these types and shapes; no data is looked at or set. BNRUN_UNSUPPORTED
 * where they depend on data. */
BNRUN_API bnrun_status bnrun_session_output_types(const bnrun_session* session, const bnrun_tensor* inputs,
                                                  size_t input_count, bnrun_tensor* outputs,
                                                  size_t output_count);
/* Runs on inputs in the model's order into buffers of the caller, which have the types and shapes that output_types
 * tells. No output may share memory with an input or another output: BNRUN_INVALID_INPUT, with nothing written.
 * Allocates nothing once this batch shape has been seen. Strings only go in. */
BNRUN_API bnrun_status bnrun_session_run(const bnrun_session* session, const bnrun_tensor* inputs,
                                         size_t input_count, const bnrun_tensor* outputs, size_t output_count,
                                         const bnrun_run_options* options);
/* The same into memory of the engine: for strings, and shapes that depend on data. */
BNRUN_API bnrun_status bnrun_session_run_new(const bnrun_session* session, const bnrun_tensor* inputs,
                                             size_t input_count, const bnrun_run_options* options,
                                             bnrun_results** results);
BNRUN_API bnrun_status bnrun_results_get(const bnrun_results* results, size_t index, bnrun_tensor* output);
BNRUN_API void bnrun_results_close(bnrun_results* results);

/* -------- files */

/* Folds the model of one file into another. `skip`: as in bnrun_session_options. `counts` may be null. */
BNRUN_API bnrun_status bnrun_fold(const char* path, const char* target, const char* const* skip,
                                  size_t skip_count, bnrun_fold_counts* counts);
/* Sets `agree` to 1 where the two compute the same, else to 0, and then says why in bnrun_last_error(). */
BNRUN_API bnrun_status bnrun_verify(const char* path_a, const char* path_b,
                                    const bnrun_verify_options* options, int* agree);

#ifdef __cplusplus
}
#endif

#endif
