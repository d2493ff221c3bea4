#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/cpus.h"

namespace bnrun {
namespace {

TEST(ThreadPool, CallsEveryIndexOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
      std::atomic<bool> worker_in_range{true};
      pool.parallel_for(count, [&](std::int64_t index, int worker) {
        ++calls[static_cast<std::size_t>(index)];
        if (worker < 0 || worker >= threads) worker_in_range = false;
      });
      for (const auto& c : calls) EXPECT_EQ(c.load(), 1);
      EXPECT_TRUE(worker_in_range);
    }
  }
}

TEST(ThreadPool, EachThreadBeginsWithTheSamePartOfEveryLoop) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::array<std::atomic<std::int64_t>, 3> first{-1, -1, -1};
    std::latch all_three(3);
    pool.parallel_for(12, [&](std::int64_t index, int worker) {
      std::int64_t none = -1;
      if (first[static_cast<std::size_t>(worker)].compare_exchange_strong(none, index))
        all_three.arrive_and_wait();
    });
    for (std::size_t worker = 0; worker < 3; ++worker)
      EXPECT_EQ(first[worker], 4 * static_cast<std::int64_t>(worker)) << "round " << round;
  }
}

TEST(ThreadPool, TellsWhetherTheCallerWaitedForAHelper) {
  ThreadPool pool(2);
  EXPECT_EQ(pool.parallel_for(1, [](std::int64_t, int) {}), std::nullopt);
  const auto caller = std::filesystem::path("/proc/self/task") / std::to_string(::gettid()) / "stat";
  const auto caller_sleeps = [&] {
    std::ifstream file(caller);
    std::string line;
    std::getline(file, line);
    return line.find(") S ") != std::string::npos;
  };
  std::atomic<int> begun{0};
  const auto waited = pool.parallel_for(2, [&](std::int64_t, int worker) {
    ++begun;
    while (begun < 2) std::this_thread::yield();
    while (worker == 1 && !caller_sleeps()) std::this_thread::yield();
  });
  EXPECT_EQ(waited, true);
}

TEST(ThreadPool, NoWorkerRunsTwoCallsAtOnce) {
  ThreadPool pool(4);
  std::atomic<int> inside[4] = {};
  std::atomic<bool> clash{false};
  for (int round = 0; round < 200; ++round) {
    pool.parallel_for(16, [&](std::int64_t, int worker) {
      if (inside[worker].fetch_add(1) != 0) clash = true;
      inside[worker].fetch_sub(1);
    });
  }
  EXPECT_FALSE(clash);
}

TEST(ThreadPool, ExceptionReachesTheCallerAndThePoolLivesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(pool.parallel_for(20,
                                   [](std::int64_t index, int) {
                                     if (index == 11) throw std::runtime_error("eleven");
                                   }),
                 std::runtime_error);
    std::atomic<int> calls{0};
    pool.parallel_for(20, [&](std::int64_t, int) { ++calls; });
    EXPECT_EQ(calls, 20);
  }
}

TEST(ThreadPool, TheLowestIndexThatThrewIsReported) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    std::latch all_three(3);  // no thread gets a second index before the others have one
    std::array<std::atomic<bool>, 3> takes_part{};
    try {
      pool.parallel_for(3, [&](std::int64_t index, int worker) {
        takes_part[static_cast<std::size_t>(worker)] = true;
        all_three.arrive_and_wait();
        // The lowest throws last.
        if (index == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        throw index;
      });
      FAIL();
    } catch (const std::int64_t index) {
      EXPECT_EQ(index, 0);
    }
    for (const auto& one : takes_part) EXPECT_TRUE(one);
  }
}

TEST(ThreadPool, CallersAtOnceBothFinish) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<int> calls{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) pool.parallel_for(8, [&](std::int64_t, int) { ++calls; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(calls, 4 * 100 * 8);
}

/// Pins the calling thread to one processor, for its own life.
class Pinned {
 public:
  explicit Pinned(int processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    EXPECT_EQ(sched_getaffinity(0, sizeof before_, &before_), 0);
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  }
  ~Pinned() { sched_setaffinity(0, sizeof before_, &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_{};
};

/// Where the helper of a pool of two threads takes its share of a loop.
int processor_of_helper(ThreadPool& pool) {
  std::latch both(2);
  int processor = -1;
  pool.parallel_for(2, [&](std::int64_t, int worker) {
    if (worker == 1) processor = sched_getcpu();
    both.arrive_and_wait();
  });
  return processor;
}

TEST(ThreadPool, AHelperThatSleepsWhereItsCallerRunsWakesUpElsewhere) {
  // Elsewhere takes a second one.
  if (usable_cpus() < 2) GTEST_SKIP() << "this machine grants a single processor";
  ThreadPool pool(2);
  for (int round = 0; round < 10; ++round) {
    const int before = processor_of_helper(pool);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // by then it sleeps
    const Pinned here(before);
    EXPECT_NE(processor_of_helper(pool), before);
  }
}

TEST(ThreadPool, WakesHelpersThatSleepAndThoseThatLookOut) {
  ThreadPool pool(2);
  for (const int microseconds : {0, 10, 90, 100, 110, 1000}) {
    for (int round = 0; round < 20; ++round) {
      std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
      EXPECT_GE(processor_of_helper(pool), 0);  // hangs where the helper does not come
    }
  }
}

TEST(ThreadPool, ALoopInsideALoopFinishes) {
  ThreadPool pool(2);
  std::atomic<int> calls{0};
  pool.parallel_for(4, [&](std::int64_t, int) { pool.parallel_for(4, [&](std::int64_t, int) { ++calls; }); });
  EXPECT_EQ(calls, 16);
}

/// Starts `most` threads and then fails by throwing `failure`; counts those that have ended.
template <class Failure>
struct FewThreads {
  int most;
  Failure failure;
  std::atomic<int>& ended;
  int started = 0;

  std::thread operator()(std::function<void()> body) {
    if (started == most) throw failure;
    ++started;
    return std::thread([this, body = std::move(body)] {
      body();
      ++ended;
    });
  }
};

TEST(ThreadPool, RunsWithTheThreadsItGot) {
  const auto expect_runs = [](auto failure) {
    for (const int most : {0, 1, 3}) {
      std::atomic<int> ended{0};
      FewThreads<decltype(failure)> few{most, failure, ended};
      {
        ThreadPool pool(100, std::ref(few));
        EXPECT_EQ(pool.threads(), most + 1);
        std::atomic<int> calls{0};
        pool.parallel_for(1000, [&](std::int64_t, int worker) {
          EXPECT_LE(worker, most);
          ++calls;
        });
        EXPECT_EQ(calls, 1000);
      }
      EXPECT_EQ(ended, most);
    }
  };
  expect_runs(std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again)));
  expect_runs(std::bad_alloc());
}

TEST(ThreadPool, ThatCannotBeMadeEndsTheThreadsItHasStarted) {
  std::atomic<int> ended{0};
  FewThreads<std::logic_error> few{2, std::logic_error("unlike a lack of threads"), ended};
  EXPECT_THROW(ThreadPool(5, std::ref(few)), std::logic_error);
  EXPECT_EQ(ended, 2);
}

/// A file tree that looks like /proc and /sys of a process in cgroup "/a/b".
class CgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(::testing::TempDir()) /
            ("cgroup_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(root_);
    write("proc/self/cgroup", "0::/a/b\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  std::filesystem::path root_;
};

int affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  return CPU_COUNT(&set);
}

TEST_F(CgroupTest, WithoutLimitAffinityDecides) {
  EXPECT_EQ(usable_cpus(root_), affinity());
  write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(usable_cpus(root_), affinity());
}

TEST_F(CgroupTest, PartOfAProcessorIsOne) {
  write("sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(usable_cpus(root_), 1);
}

TEST_F(CgroupTest, LimitsAboveCountAndFractionsRoundUp) {
  // The count never exceeds the processors that there are, so that a limit of two shows on two or more only.
  if (affinity() < 2) GTEST_SKIP() << "one processor only";
  write("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  write("sys/fs/cgroup/a/b/cpu.max", "900000 100000\n");
  EXPECT_EQ(usable_cpus(root_), 2);
  write("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
  EXPECT_EQ(usable_cpus(root_), 1);
}

TEST_F(CgroupTest, GarbageIsNoLimit) {
  write("sys/fs/cgroup/a/b/cpu.max", "-5 0 x\n");
  EXPECT_EQ(usable_cpus(root_), affinity());
}

}  // namespace
}  // namespace bnrun
