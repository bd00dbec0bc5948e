// Loops over several threads: OpenMP where the compiler has it, one thread where it has not.
#pragma once

#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace splat {

// body(begin, end) once a thread, over contiguous parts of [0, n).
template <class Body>
void parallel_ranges(int64_t n, int threads, const Body& body) {
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  {
    const int64_t count = omp_get_num_threads(), me = omp_get_thread_num();
    body(n * me / count, n * (me + 1) / count);
  }
#else
  (void)threads;
  body(0, n);
#endif
}

template <class Body>
void parallel_for(int64_t n, int threads, const Body& body) {
  parallel_ranges(n, threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

// Tasks of uneven length: body(task, worker), tasks handed out a few at a time.
template <class Body>
void parallel_tasks(int64_t n, int threads, const Body& body) {
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  {
    const int me = omp_get_thread_num();
#pragma omp for schedule(dynamic, 4)
    for (int64_t i = 0; i < n; ++i) body(i, me);
  }
#else
  (void)threads;
  for (int64_t i = 0; i < n; ++i) body(i, 0);
#endif
}

}  // namespace splat
