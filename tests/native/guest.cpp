// Runs kernels that were compiled for another processor, in an emulator, for a Python that runs outside of it.
//
// The pointers of a call are the caller's. A page of memory that a kernel touches is not there at first: the signal
// handler fetches it from the caller, to the same address; after the call every changed byte goes back. So the tests of
// the kernels run unchanged. Standard input brings a call (the kernel's number, counts, arguments), standard output a
// byte when it is done; argv[1] is a descriptor of the caller's memory.
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KERNEL(name) extern "C" void sw_##name##_v16();
#include "kernels.inc"
#undef KERNEL

typedef int64_t I;
typedef double D;
// On arm64 integers and doubles have registers of their own, and further integers follow each other on the stack: a
// kernel with fewer parameters finds its own where they belong.
typedef void (*Kernel)(I, I, I, I, I, I, I, I, I, I, I, I, I, I, I, I, I, I, I, I, D, D, D, D, D, D, D, D);
#define KERNEL(name) reinterpret_cast<Kernel>(sw_##name##_v16),
static const Kernel kernels[] = {
#include "kernels.inc"
};

static const uintptr_t kPage = 4096;
static const int kMost = 1 << 18;
static int memory;
static char *pages[kMost], *copies;
static int fetched;

static void fetch(int, siginfo_t *info, void *) {
  char *const page = reinterpret_cast<char *>(reinterpret_cast<uintptr_t>(info->si_addr) & ~(kPage - 1));
  char *const copy = copies + kPage * fetched;
  if (fetched == kMost || pread(memory, copy, kPage, off_t(page)) != ssize_t(kPage)) {
    fprintf(stderr, "a kernel touched %p, which is not the caller's memory\n", info->si_addr);
    _exit(3);
  }
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  if (mmap(page, kPage, PROT_READ | PROT_WRITE, flags, -1, 0) != page) {
    fprintf(stderr, "the page at %p is taken (%s): run it again\n", static_cast<void *>(page), strerror(errno));
    _exit(4);
  }
  memcpy(page, copy, kPage);
  pages[fetched++] = page;
}

static void give_back() {
  for (int i = 0; i < fetched; i++) {
    const char *const copy = copies + kPage * i;
    for (uintptr_t first = 0; first < kPage;) {
      uintptr_t last = first;
      while (last < kPage && pages[i][last] != copy[last]) last++;
      if (last > first && pwrite(memory, pages[i] + first, last - first, off_t(pages[i] + first)) < 0) _exit(5);
      first = last + 1;
    }
    munmap(pages[i], kPage);
  }
  fetched = 0;
}

static bool take(void *to, size_t size) { return fread(to, 1, size, stdin) == size; }

int main(int, char **argv) {
  memory = atoi(argv[1]);
  void *room = mmap(nullptr, kPage * kMost, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  copies = static_cast<char *>(room);
  struct sigaction action = {};
  action.sa_sigaction = fetch;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  int64_t head[3];
  while (take(head, sizeof head)) {
    I i[20] = {};
    D d[8] = {};
    if (head[1] > 20 || head[2] > 8 || !take(i, 8 * head[1]) || !take(d, 8 * head[2])) return 2;
    kernels[head[0]](i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8], i[9], i[10], i[11], i[12], i[13], i[14],
                     i[15], i[16], i[17], i[18], i[19], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
    give_back();
    if (write(1, "", 1) != 1) return 2;
  }
  return 0;
}
