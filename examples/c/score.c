/* score MODEL ROWS: scores ROWS rows whose elements are 0, 1, 2, ... between buffers of its own. */
#include <bnrun/bnrun.h>
#include <stdio.h>
#include <stdlib.h>

static void check(bnrun_status status) {
  if (status == BNRUN_OK) return;
  fprintf(stderr, "%s: %s\n", bnrun_status_name(status), bnrun_last_error());
  exit(1);
}

int main(int argc, char** argv) {
  bnrun_session* session;
  bnrun_fold_counts counts;
  bnrun_tensor x;
  bnrun_tensor y;
  int64_t i;
  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL ROWS\n", argv[0]);
    return 2;
  }
  check(bnrun_session_open(argv[1], NULL, &session));
  check(bnrun_session_fold_counts(session, &counts));
  printf("folded %zu of %zu\n", counts.folded, counts.folded + counts.left);

  check(bnrun_session_input(session, 0, &x)); /* float32[N,features] */
  x.shape[0] = atoll(argv[2]);
  x.data = malloc((size_t)(x.shape[0] * x.shape[1]) * sizeof(float));
  for (i = 0; i < x.shape[0] * x.shape[1]; ++i) ((float*)x.data)[i] = (float)i;
  check(bnrun_session_output_types(session, &x, 1, &y, 1));
  y.data = malloc((size_t)(y.shape[0] * y.shape[1]) * sizeof(float));
  check(bnrun_session_run(session, &x, 1, &y, 1, NULL));

  for (i = 0; i < y.shape[0] * y.shape[1]; ++i)
    printf("%g%c", ((float*)y.data)[i], (i + 1) % y.shape[1] == 0 ? '\n' : ' ');
  free(x.data);
  free(y.data);
  bnrun_session_close(session);
  return 0;
}
