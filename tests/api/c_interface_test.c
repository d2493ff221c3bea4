/* The C interface, as a C99 program sees it. Called with the folder of models that c_interface_test.py writes; prints each
 * expectation that does not hold, and exits with their number. */
#include <bnrun/bnrun.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define EXPECT(condition)                                                                                 \
  do {                                                                                                    \
    if (!(condition)) {                                                                                   \
      ++failures;                                                                                         \
      fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition, bnrun_last_error()); \
    }                                                                                                     \
  } while (0)

static const char* in_folder(const char* folder, const char* name) {
  static char paths[4][1024];
  static int next = 0;
  char* path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static bnrun_tensor tensor(bnrun_dtype dtype, int64_t rows, int64_t columns, void* data) {
  bnrun_tensor made = {BNRUN_UNDEFINED, 2, {0}, NULL};
  made.dtype = dtype;
  made.shape[0] = rows;
  made.shape[1] = columns;
  made.data = data;
  return made;
}

static bnrun_session* open_model(const char* folder, const char* name, const bnrun_session_options* options) {
  bnrun_session* session = NULL;
  EXPECT(bnrun_session_open(in_folder(folder, name), options, &session) == BNRUN_OK);
  if (session == NULL) exit(99);
  return session;
}

static int call_count = 0;
static int count_calls(void* context, double done) {
  ++*(int*)context;
  return done < 0.0 || done > 1.0;
}
static int refuse(void* context, double done) {
  (void)context;
  (void)done;
  return 1;
}

/* small.onnx: y = Relu((x W + b - mean) / sd * scale + B) in numbers to follow by hand. */
static void test_a_run_into_own_buffers(const char* folder) {
  bnrun_session* session = open_model(folder, "small.onnx", NULL);
  float x[4] = {0, 1, 2, 3};
  float y[4] = {-1, -1, -1, -1};
  bnrun_tensor in = tensor(BNRUN_FLOAT32, 2, 2, x);
  bnrun_tensor out;
  bnrun_tensor declared;
  bnrun_fold_counts counts = {9, 9};
  size_t index = 9;
  bnrun_run_options options = BNRUN_RUN_OPTIONS_INIT;

  EXPECT(bnrun_session_input_count(session) == 1 && bnrun_session_output_count(session) == 1);
  EXPECT(strcmp(bnrun_session_input_name(session, 0), "x") == 0);
  EXPECT(strcmp(bnrun_session_output_name(session, 0), "y") == 0);
  EXPECT(bnrun_session_input_name(session, 1) == NULL && bnrun_session_output_name(session, 7) == NULL);
  EXPECT(bnrun_session_input(session, 0, &declared) == BNRUN_OK);
  EXPECT(declared.dtype == BNRUN_FLOAT32 && declared.rank == 2 && declared.shape[0] == -1 &&
         declared.shape[1] == 2);
  EXPECT(bnrun_session_output(session, 0, &declared) == BNRUN_OK && declared.shape[1] == 2);
  EXPECT(bnrun_session_input(session, 1, &declared) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_find_input(session, "x", &index) == BNRUN_OK && index == 0);
  EXPECT(bnrun_session_find_output(session, "x", &index) == BNRUN_INVALID_INPUT);
  EXPECT(strcmp(bnrun_last_error(), "the model has no output 'x', it has 'y'") == 0);
  EXPECT(strcmp(bnrun_session_metadata(session, "producer_name"), "tests") == 0);
  EXPECT(strcmp(bnrun_session_metadata(session, "author"), "somebody") == 0);
  EXPECT(bnrun_session_metadata(session, "nothing") == NULL);
  EXPECT(bnrun_session_fold_counts(session, &counts) == BNRUN_OK && counts.folded == 1 && counts.left == 0);

  EXPECT(bnrun_session_output_types(session, &in, 1, &out, 1) == BNRUN_OK);
  EXPECT(out.dtype == BNRUN_FLOAT32 && out.rank == 2 && out.shape[0] == 2 && out.shape[1] == 2 &&
         out.data == NULL);
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  out.data = y;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_OK);
  EXPECT(y[0] == 1 && y[1] == 0 && y[2] == 9 && y[3] == 12);
  out.data = x;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(strstr(bnrun_last_error(), "output 'y' shares memory with input 'x'") != NULL);
  out.data = y;

  options.progress = count_calls;
  options.context = &call_count;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, &options) == BNRUN_OK && call_count > 0);
  options.progress = refuse;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, &options) == BNRUN_CANCELLED);
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_OK);

  out.shape[0] = 3;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  in.dtype = BNRUN_FLOAT64;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(strstr(bnrun_last_error(), "'x' must be float32") != NULL);
  in.dtype = 77;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  in = tensor(BNRUN_FLOAT32, 2, 2, x);
  in.rank = BNRUN_MAX_RANK + 1;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  in.rank = 2;
  in.shape[0] = -2;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  bnrun_session_close(session);
}

static void test_options(const char* folder) {
  const char* skip[] = {"bn*"};
  bnrun_session_options options = BNRUN_SESSION_OPTIONS_INIT;
  bnrun_fold_counts counts;
  bnrun_session* session;
  bnrun_session* none = NULL;
  bnrun_pool* pool = NULL;

  options.skip = skip;
  options.skip_count = 1;
  session = open_model(folder, "small.onnx", &options);
  EXPECT(bnrun_session_fold_counts(session, &counts) == BNRUN_OK && counts.folded == 0 && counts.left == 1);
  bnrun_session_close(session);

  options.size = offsetof(bnrun_session_options, skip); /* an older program, which knows no `skip` */
  EXPECT(bnrun_pool_new(2, &pool) == BNRUN_OK);
  options.pool = pool;
  session = open_model(folder, "small.onnx", &options);
  bnrun_pool_close(pool);
  EXPECT(bnrun_session_fold_counts(session, &counts) == BNRUN_OK && counts.folded == 1);
  bnrun_session_close(session);

  options.size = 0;
  EXPECT(bnrun_session_open(in_folder(folder, "small.onnx"), &options, &none) == BNRUN_INVALID_INPUT &&
         none == NULL);
  for (options.size = 1; options.size < sizeof options; ++options.size) { /* none ends inside a member */
    const int fits = options.size % 4 == 0 && options.size >= sizeof(size_t) && (options.size <= 24 || options.size % 8 == 0);
    options.pool = NULL;
    EXPECT((bnrun_session_open(in_folder(folder, "small.onnx"), &options, &none) == BNRUN_OK) == fits);
    bnrun_session_close(none);
    none = NULL;
  }
  options.size = sizeof options;
  options.pool = NULL;
  options.skip = NULL;
  EXPECT(bnrun_session_open(in_folder(folder, "small.onnx"), &options, &none) == BNRUN_INVALID_INPUT &&
         none == NULL);
  options.skip_count = 0;
  options.fast = 1;
  session = open_model(folder, "small.onnx", &options);
  bnrun_session_close(session);
  options.blas = 1;
  EXPECT(bnrun_session_open(in_folder(folder, "small.onnx"), &options, &none) == BNRUN_INVALID_INPUT &&
         none == NULL);
  EXPECT(strcmp(bnrun_last_error(), "options 'blas' and 'fast' are both set: choose one") == 0);
  options.fast = options.blas = 0;
  options.threads = -3;
  EXPECT(bnrun_session_open(in_folder(folder, "small.onnx"), &options, &none) == BNRUN_INVALID_INPUT &&
         none == NULL);
  EXPECT(bnrun_pool_new(1 << 20, &pool) == BNRUN_RESOURCE_LIMIT && pool == NULL);
}

static void test_models_in_memory(const char* folder) {
  static char bytes[1 << 16];
  bnrun_session* session = NULL;
  FILE* file = fopen(in_folder(folder, "small.onnx"), "rb");
  const size_t count = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  EXPECT(bnrun_session_parse(bytes, count, NULL, &session) == BNRUN_OK);
  memset(bytes, 0, sizeof bytes);
  EXPECT(bnrun_session_input_count(session) == 1);
  bnrun_session_close(session);
  EXPECT(bnrun_session_parse("no model", 8, NULL, &session) == BNRUN_INVALID_MODEL && session == NULL);
  EXPECT(bnrun_session_open(in_folder(folder, "nowhere.onnx"), NULL, &session) == BNRUN_IO);
  EXPECT(strstr(bnrun_last_error(), "nowhere.onnx") != NULL);
}

static void test_strings_and_shapes_that_depend_on_data(const char* folder) {
  bnrun_session* session = open_model(folder, "labels.onnx", NULL);
  float X[4] = {2, 0, 0, 3};
  bnrun_tensor in = tensor(BNRUN_FLOAT32, 2, 2, X);
  bnrun_tensor out;
  bnrun_results* results = NULL;
  const char* texts[2] = {"a",
                          "gr\xc3\xb6\xc3\x9f"
                          "er"};

  EXPECT(bnrun_session_class_count(session) == 3);
  EXPECT(strcmp(bnrun_session_class_name(session, 1), "dog") == 0 &&
         bnrun_session_class_name(session, 3) == NULL);
  EXPECT(bnrun_session_run_new(session, &in, 1, NULL, &results) == BNRUN_OK);
  EXPECT(bnrun_results_get(results, 0, &out) == BNRUN_OK && out.dtype == BNRUN_STRING && out.rank == 1);
  EXPECT(strcmp(((const char* const*)out.data)[0], "cat") == 0 &&
         strcmp(((const char* const*)out.data)[1], "dog") == 0);
  EXPECT(bnrun_results_get(results, 1, &out) == BNRUN_OK && out.shape[1] == 3);
  EXPECT(fabs(((const float*)out.data)[0] - 0.7856) < 1e-4);
  EXPECT(bnrun_results_get(results, 2, &out) == BNRUN_INVALID_INPUT);
  bnrun_results_close(results);
  bnrun_session_close(session);

  session = open_model(folder, "text.onnx", NULL);
  in = tensor(BNRUN_STRING, 1, 2, texts);
  EXPECT(bnrun_session_run_new(session, &in, 1, NULL, &results) == BNRUN_OK);
  EXPECT(bnrun_results_get(results, 0, &out) == BNRUN_OK);
  EXPECT(strcmp(((const char* const*)out.data)[1], texts[1]) == 0);
  bnrun_results_close(results);
  out = tensor(BNRUN_STRING, 1, 2, texts);
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  texts[1] = NULL;
  EXPECT(bnrun_session_run_new(session, &in, 1, NULL, &results) == BNRUN_INVALID_INPUT && results == NULL);
  bnrun_session_close(session);

  session = open_model(folder, "nonzero.onnx", NULL);
  in = tensor(BNRUN_FLOAT32, 2, 2, X);
  EXPECT(bnrun_session_output_types(session, &in, 1, &out, 1) == BNRUN_UNSUPPORTED);
  EXPECT(bnrun_session_run_new(session, &in, 1, NULL, &results) == BNRUN_OK);
  EXPECT(bnrun_results_get(results, 0, &out) == BNRUN_OK && out.dtype == BNRUN_INT64 && out.shape[1] == 2);
  bnrun_results_close(results);
  bnrun_session_close(session);
}

static void test_folding_and_verifying_files(const char* folder) {
  bnrun_fold_counts counts;
  bnrun_verify_options options = BNRUN_VERIFY_OPTIONS_INIT;
  int agree = -1;
  const char* small = in_folder(folder, "small.onnx");
  const char* folded = in_folder(folder, "folded.onnx");
  EXPECT(bnrun_fold(small, folded, NULL, 0, &counts) == BNRUN_OK && counts.folded == 1 && counts.left == 0);
  EXPECT(bnrun_verify(small, folded, NULL, &agree) == BNRUN_OK && agree == 1);
  options.rtol = options.atol = 1e-3;
  options.rows = 5;
  EXPECT(bnrun_verify(small, in_folder(folder, "other.onnx"), &options, &agree) == BNRUN_OK && agree == 0);
  EXPECT(strstr(bnrun_last_error(), "'y' differs") != NULL);
  EXPECT(bnrun_fold(small, "/nowhere/at/all.onnx", NULL, 0, NULL) == BNRUN_IO);
}

/* Each pointer in turn. */
static void test_null_pointers_are_invalid_input(const char* folder) {
  bnrun_session* session = open_model(folder, "small.onnx", NULL);
  float x[2] = {0, 1};
  bnrun_tensor in = tensor(BNRUN_FLOAT32, 1, 2, x);
  bnrun_tensor out = tensor(BNRUN_FLOAT32, 1, 2, x);
  bnrun_session* made = NULL;
  bnrun_results* results = NULL;
  bnrun_fold_counts counts;
  size_t index;
  int agree;

  EXPECT(bnrun_pool_new(1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_open(NULL, NULL, &made) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_open("m.onnx", NULL, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_parse(NULL, 1, NULL, &made) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_parse(x, 1, NULL, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_input(NULL, 0, &in) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_input(session, 0, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_output(NULL, 0, &in) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_output(session, 0, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_find_input(NULL, "x", &index) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_find_input(session, NULL, &index) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_find_input(session, "x", NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_find_output(NULL, "y", &index) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_fold_counts(NULL, &counts) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_fold_counts(session, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_output_types(NULL, &in, 1, &out, 1) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_output_types(session, NULL, 1, &out, 1) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_output_types(session, &in, 1, NULL, 1) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run(NULL, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run(session, NULL, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run(session, &in, 1, NULL, 1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run(session, &in, (size_t)-1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run(session, &in, 1, &out, (size_t)-1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run_new(session, &in, (size_t)-1, NULL, &results) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_output_types(session, &in, (size_t)-1, &out, 1) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run_new(NULL, &in, 1, NULL, &results) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run_new(session, NULL, 1, NULL, &results) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_session_run_new(session, &in, 1, NULL, NULL) == BNRUN_INVALID_INPUT);
  in.data = NULL;
  EXPECT(bnrun_session_run(session, &in, 1, &out, 1, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(strcmp(bnrun_last_error(), "input 'x' is a null pointer") == 0);
  EXPECT(bnrun_results_get(NULL, 0, &out) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_fold(NULL, "f.onnx", NULL, 0, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_fold("m.onnx", NULL, NULL, 0, NULL) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_verify(NULL, "b.onnx", NULL, &agree) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_verify("a.onnx", NULL, NULL, &agree) == BNRUN_INVALID_INPUT);
  EXPECT(bnrun_verify("a.onnx", "b.onnx", NULL, NULL) == BNRUN_INVALID_INPUT);

  EXPECT(bnrun_session_input_count(NULL) == 0 && bnrun_session_output_count(NULL) == 0);
  EXPECT(bnrun_session_class_count(NULL) == 0 && bnrun_session_class_name(NULL, 0) == NULL);
  EXPECT(bnrun_session_input_name(NULL, 0) == NULL && bnrun_session_output_name(NULL, 0) == NULL);
  EXPECT(bnrun_session_metadata(NULL, "x") == NULL && bnrun_session_metadata(session, NULL) == NULL);
  bnrun_session_close(NULL);
  bnrun_results_close(NULL);
  bnrun_pool_close(NULL);
  bnrun_session_close(session);
}

int main(int argc, char** argv) {
  if (argc != 2) return 98;
  EXPECT(bnrun_abi_version() == BNRUN_ABI_VERSION);
  EXPECT(strcmp(bnrun_last_error(), "") == 0);
  EXPECT(strlen(bnrun_version()) >= 5);
  EXPECT(strcmp(bnrun_status_name(BNRUN_INVALID_INPUT), "invalid_input") == 0);
  EXPECT(strcmp(bnrun_status_name(BNRUN_CANCELLED), "cancelled") == 0);
  test_a_run_into_own_buffers(argv[1]);
  test_options(argv[1]);
  test_models_in_memory(argv[1]);
  test_strings_and_shapes_that_depend_on_data(argv[1]);
  test_folding_and_verifying_files(argv[1]);
  test_null_pointers_are_invalid_input(argv[1]);
  return failures;
}
